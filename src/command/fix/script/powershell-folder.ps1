
function In-Folder([scriptblock] $Recipe, [string] $Name, [string] $NewName, [long] $Bytes, [string] $Modified, [string] $Extension, [string] $NewExtension) {
    $original = [IO.Path]::Combine($source, $Name)
    $new = [IO.Path]::Combine($target, $NewName)
    $kept = if ($backup) { [IO.Path]::Combine($backup, $Name) } else { "$original.orig" }
    $file = [IO.FileInfo]::new($original)
    $limit = [DateTime]::Parse($Modified, [Globalization.CultureInfo]::InvariantCulture, [Globalization.DateTimeStyles]::AdjustToUniversal)
    $isLink = $file.Attributes -band [IO.FileAttributes]::ReparsePoint
    $isKept = $inPlace -and [IO.File]::Exists($kept)
    if (-not $file.Exists -or $isLink -or $file.Length -ne $Bytes -or $file.LastWriteTimeUtc -gt $limit) {
        Say $Name $(if ($isKept) { 'fixed already' } else { 'left as it is: it has changed' })
        return
    }
    if ($new -cne $original -and [IO.File]::Exists($new)) { Say $NewName 'there is such a file already'; return }
    # A script that was stopped may have kept the original in the other folder, and not gone on.
    if ($isKept -and -not ($backup -and [IO.FileInfo]::new($kept).Length -eq $Bytes)) {
        Say $Name 'left as it is: there is another file under the name that its original would be kept under'
        return
    }
    $in = [IO.Path]::Combine($work, "in.$Extension")
    $fixed = [IO.Path]::Combine($work, "fixed.$NewExtension")
    [IO.File]::Copy($original, $in)
    if (-not (Made $Recipe $Name $in $fixed)) { return }
    New-FolderOf $new
    if (-not $inPlace) {
        [IO.File]::SetLastWriteTimeUtc($fixed, $file.LastWriteTimeUtc)
        [IO.File]::Move($fixed, $new)
    } else {
        New-FolderOf $kept
        if ($new -cne $original) {
            [IO.File]::Move($fixed, $new)
            [IO.File]::Move($original, $kept)
        } elseif ($backup) {
            # It may be on another volume: first a whole copy, then one step.
            if (-not $isKept) {
                [IO.File]::Copy($original, "$kept.part", $true)
                [IO.File]::Move("$kept.part", $kept)
            }
            [IO.File]::Replace($fixed, $original, [NullString]::Value)
        } else {
            # One step: the original gets its new name, and the fixed file its place.
            [IO.File]::Replace($fixed, $original, $kept)
        }
    }
    Remove-Item -LiteralPath $in -Force
    Say $NewName 'fixed'
}


function In-Folder([scriptblock] $Recipe, [string] $Name, [string] $NewName, [long] $Bytes, [string] $Modified, [string] $Extension, [string] $NewExtension) {
    $original = [IO.Path]::Combine($source, $Name)
    $new = [IO.Path]::Combine($target, $NewName)
    $kept = "$original.orig"
    if ($inPlace -and [IO.File]::Exists($kept)) { Say $Name 'there is a .orig file already'; return }
    if ($new -ne $original -and [IO.File]::Exists($new)) { Say $NewName 'there is such a file already'; return }
    $file = [IO.FileInfo]::new($original)
    $limit = [DateTime]::Parse($Modified, [Globalization.CultureInfo]::InvariantCulture, [Globalization.DateTimeStyles]::AdjustToUniversal)
    $isLink = $file.Attributes -band [IO.FileAttributes]::ReparsePoint
    if (-not $file.Exists -or $isLink -or $file.Length -ne $Bytes -or $file.LastWriteTimeUtc -gt $limit) {
        Say $Name 'left as it is: it has changed'
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
    } elseif ($new -eq $original) {
        # One step: the original gets its new name, and the fixed file its place.
        [IO.File]::Replace($fixed, $original, $kept)
    } else {
        [IO.File]::Move($fixed, $new)
        [IO.File]::Move($original, $kept)
    }
    Remove-Item -LiteralPath $in -Force
    Say $NewName 'fixed'
}

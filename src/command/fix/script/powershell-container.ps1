
$sas = if ($env:AZURE_STORAGE_SAS_TOKEN) { $env:AZURE_STORAGE_SAS_TOKEN.TrimStart('?') } else { '' }
$token = ''
$tokenTime = [DateTime]::MinValue
# Windows PowerShell may not offer it by itself.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

# Sends a request and returns the status. If there is a Copy, the service copies from that URL.
function Call([string] $Method, [string] $Url, [hashtable] $Headers, [string] $InFile, [string] $OutFile, [string] $Body, [string] $Copy) {
    $all = @{ 'x-ms-version' = '2021-12-02' } + $Headers
    if ($sas) {
        $Url += $(if ($Url.Contains('?')) { '&' } else { '?' }) + $sas
        if ($Copy) { $all['x-ms-copy-source'] = "${Copy}?$sas" }
    } else {
        if ([DateTime]::UtcNow - $tokenTime -gt [TimeSpan]::FromMinutes(30)) {
            $script:token = az account get-access-token --resource https://storage.azure.com/ --query accessToken --output tsv
            if ($LASTEXITCODE) { throw 'az gives no token: run az login' }
            $script:tokenTime = [DateTime]::UtcNow
        }
        $all['Authorization'] = "Bearer $token"
        if ($Copy) {
            $all['x-ms-copy-source'] = $Copy
            $all['x-ms-copy-source-authorization'] = "Bearer $token"
        }
    }
    $options = @{ Method = $Method; Uri = $Url; Headers = $all; UseBasicParsing = $true }
    if ($InFile) { $options['InFile'] = $InFile; $options['ContentType'] = 'application/octet-stream' }
    if ($OutFile) { $options['OutFile'] = $OutFile }
    if ($Body) { $options['Body'] = $Body; $options['ContentType'] = 'text/xml' }
    try {
        Invoke-WebRequest @options | Out-Null
        return 200
    } catch {
        $response = $_.Exception.PSObject.Properties['Response']
        if (-not $response -or -not $response.Value) { throw }
        return [int] $response.Value.StatusCode
    }
}

function Need([int] $Status, [string] $What) {
    if ($Status -ne 200) { throw "${What}: the service refuses: $Status" }
}

# Fetches a blob, or its first bytes, in the version that was judged, and returns whether it is still there.
function Get-Version([string] $Url, [string] $ETag, [string] $File, [hashtable] $Headers) {
    $status = Call GET $Url (@{ 'If-Match' = $ETag } + $Headers) '' $File '' ''
    if ($status -eq 404 -or $status -eq 412) {
        Say $Url 'left as it is: it has changed, or was fixed before'
        return $false
    }
    Need $status $Url
    return $true
}

function Is-There([string] $Url, [string] $New) {
    if ($Url -eq $New -or (Call HEAD $New @{} '' '' '' '') -ne 200) { return $false }
    Say $New 'there is such a blob already'
    return $true
}

function Condition([string] $Url, [string] $New, [string] $ETag) {
    if ($Url -eq $New) { return @{ 'If-Match' = $ETag } }
    return @{ 'If-None-Match' = '*'; 'x-ms-meta-presync_fixed_from' = $ETag.Trim('"') }
}

function Keep([string] $Name, [string] $File) {
    if (-not $backup) { return }
    $kept = [IO.Path]::Combine($backup, $Name)
    if ([IO.File]::Exists($kept)) { return }
    New-FolderOf $kept
    $copy = [IO.Path]::Combine($work, 'original')
    [IO.File]::Copy($File, $copy)
    [IO.File]::Move($copy, $kept)
}

function In-Container([scriptblock] $Recipe, [string] $Url, [string] $New, [string] $ETag, [string] $Name, [string] $Extension, [string] $NewExtension, [hashtable] $Properties) {
    if (Is-There $Url $New) { return }
    $in = [IO.Path]::Combine($work, "in.$Extension")
    $fixed = [IO.Path]::Combine($work, "fixed.$NewExtension")
    if (-not (Get-Version $Url $ETag $in @{})) { return }
    Keep $Name $in
    if (-not (Made $Recipe $Url $in $fixed)) { return }
    $headers = @{ 'x-ms-blob-type' = 'BlockBlob' } + (Condition $Url $New $ETag) + $Properties
    Need (Call PUT $New $headers $fixed '' '' '') $New
    Remove-Item -LiteralPath $in, $fixed -Force
    Say $New 'fixed'
}

function On-TheService([string] $Url, [string] $New, [string] $ETag, [string] $Name, [long] $Bytes, [int] $Kept, [string] $Brand, [hashtable] $Properties) {
    if (Is-There $Url $New) { return }
    $in = [IO.Path]::Combine($work, 'in')
    $head = [IO.Path]::Combine($work, 'head')
    if ($backup) {
        if (-not (Get-Version $Url $ETag $in @{})) { return }
        Keep $Name $in
    }
    [long] $at = 0
    $list = ''
    if ($Brand) {
        if (-not (Get-Version $Url $ETag $head @{ 'x-ms-range' = "bytes=0-$($Kept - 1)" })) { return }
        [IO.File]::AppendAllText($head, $Brand, [Text.Encoding]::ASCII)
        $at = $Kept + 4
        Need (Call PUT "${New}?comp=block&blockid=0000000000000000" @{} $head '' '' '') $New
        $list = '<Latest>0000000000000000</Latest>'
    }
    $number = 0
    while ($at -lt $Bytes) {
        $number += 1
        $id = '{0:D16}' -f $number
        $end = [Math]::Min($at + 268435456, $Bytes)
        $headers = @{ 'x-ms-source-range' = "bytes=$at-$($end - 1)"; 'x-ms-source-if-match' = $ETag }
        Need (Call PUT "${New}?comp=block&blockid=$id" $headers '' '' '' $Url) $Url
        $list += "<Latest>$id</Latest>"
        $at = $end
    }
    $body = '<?xml version="1.0" encoding="utf-8"?><BlockList>' + $list + '</BlockList>'
    Need (Call PUT "${New}?comp=blocklist" ((Condition $Url $New $ETag) + $Properties) '' '' $body '') $New
    Remove-Item -LiteralPath $in, $head -Force -ErrorAction SilentlyContinue
    Say $New 'fixed'
}

function To-Folder([scriptblock] $Recipe, [string] $Url, [string] $Name, [string] $NewName, [string] $ETag, [string] $Extension, [string] $NewExtension) {
    $new = [IO.Path]::Combine($target, $NewName)
    if ([IO.File]::Exists($new)) { Say $NewName 'there is such a file already'; return }
    $in = [IO.Path]::Combine($work, "in.$Extension")
    $fixed = [IO.Path]::Combine($work, "fixed.$NewExtension")
    if (-not (Get-Version $Url $ETag $in @{})) { return }
    if (-not (Made $Recipe $NewName $in $fixed)) { return }
    New-FolderOf $new
    [IO.File]::Move($fixed, $new)
    Remove-Item -LiteralPath $in -Force
    Say $NewName 'fixed'
}

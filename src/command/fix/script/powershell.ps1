Set-StrictMode -Version 3
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# A program that fails is looked at here.
$PSNativeCommandUseErrorActionPreference = $false
$failed = 0

function Say([string] $Name, [string] $What) { Write-Host ("{0}: {1}" -f ($Name -replace '\p{C}', '?'), $What) }

# Whether a program succeeds.
function Try-Run([string] $Program, [string[]] $Words) {
    & $Program @Words | Out-Null
    return $LASTEXITCODE -eq 0
}

function Run([string] $Program, [string[]] $Words) {
    if (-not (Try-Run $Program $Words)) { throw "$Program failed" }
}

# Whether a recipe gives a file that presync accepts.
function Made([scriptblock] $Recipe, [string] $Name, [string] $In, [string] $Out) {
    $presync = if ($env:PRESYNC) { $env:PRESYNC } else { 'presync' }
    try {
        & $Recipe $In $Out
        $words = @('explain', '--color', 'never', '--profile', $profileName) + $rules + @('--', $Out)
        if (Try-Run $presync $words) { return $true }
    } catch { Say $Name $_.Exception.Message }
    Say $Name 'left as it is: it cannot be fixed'
    Remove-Item -LiteralPath $In, $Out -Force -ErrorAction SilentlyContinue
    $script:failed = 1
    return $false
}

# A new folder for files that are being worked on.
function New-Work([string] $Folder) {
    $characters = (48..57) + (65..90) + (97..122) | Get-Random -Count 6 | ForEach-Object { [char] $_ }
    $path = [IO.Path]::Combine($Folder, '.presync-fix-' + (-join $characters))
    return [IO.Directory]::CreateDirectory($path).FullName
}

function New-FolderOf([string] $Path) { [IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($Path)) | Out-Null }

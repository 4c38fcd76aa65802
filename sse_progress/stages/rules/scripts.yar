/* Scripts that hand a server over to whoever calls them. */

rule PHP_Runs_Request
{
    meta:
        description = "a PHP script that runs what a request sends"
    strings:
        $php = "<?php" nocase
        $direct = /(eval|assert|system|shell_exec|passthru|popen)\s*\(\s*(@|base64_decode\s*\(\s*|gzinflate\s*\(\s*)*\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $binary = { 00 }
    condition:
        $direct and ($php in (0..64) or ($php and $binary in (0..1024)))
}

rule PHP_Runs_Request_Quoted
{
    meta:
        description = "a text that quotes a PHP script that runs what a request sends"
        verdict = "review"
    strings:
        $php = "<?php" nocase
        $direct = /(eval|assert|system|shell_exec|passthru|popen)\s*\(\s*(@|base64_decode\s*\(\s*|gzinflate\s*\(\s*)*\$_(GET|POST|REQUEST|COOKIE)\b/ nocase
        $binary = { 00 }
    condition:
        $direct and $php and not $php in (0..64) and not $binary in (0..1024)
}

rule PowerShell_Hidden_Command
{
    meta:
        description = "a text that starts PowerShell with a hidden command"
        verdict = "review"
    strings:
        $encoded = /powershell[^\n]{0,200}-e(nc(odedcommand)?)?\s+[A-Za-z0-9+\/=]{40}/ nocase
        $download = /powershell[^\n]{0,200}downloadstring\s*\(/ nocase
    condition:
        any of them
}

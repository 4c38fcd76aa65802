/* Documents that start something when they are opened. */

rule PDF_Starts_Program
{
    meta:
        description = "a PDF that starts a program"
        source = "ISO 32000-1 §12.6.4.5, launch actions"
    strings:
        $launch = /\/S\s*\/Launch/
        $windows = /\/Win\s*<</
        $shell = /(cmd\.exe|powershell|mshta|wscript|\/bin\/(ba)?sh)/ nocase
    condition:
        uint32be(0) == 0x25504446 and $launch and ($windows or $shell)
}

rule Office_DDE
{
    meta:
        description = "a document part that runs a command through DDE"
        source = "Microsoft advisory 4053440"
    strings:
        $dde = /DDEAUTO[\s"\\]{1,8}[A-Za-z]:?[^<]{0,80}(cmd|powershell|mshta|wscript)/ nocase
        $xml = /(\xef\xbb\xbf)?\s{0,8}<(\?xml|w:)/
    condition:
        $dde and (uint32be(0) == 0xD0CF11E0 or uint32be(0) == 0x7B5C7274 or $xml in (0..2))
}

rule Office_DDE_Quoted
{
    meta:
        description = "a text that quotes a command through DDE"
        verdict = "review"
    strings:
        $dde = /DDEAUTO[\s"\\]{1,8}[A-Za-z]:?[^<]{0,80}(cmd|powershell|mshta|wscript)/ nocase
        $xml = /(\xef\xbb\xbf)?\s{0,8}<(\?xml|w:)/
    condition:
        $dde and not (uint32be(0) == 0xD0CF11E0 or uint32be(0) == 0x7B5C7274 or $xml in (0..2))
}

rule RTF_Equation_Editor
{
    meta:
        description = "a rich text file with an equation editor object"
        source = "CVE-2017-11882"
    strings:
        $class = "4571756174696f6e2e33" nocase
    condition:
        uint32be(0) == 0x7B5C7274 and $class
}

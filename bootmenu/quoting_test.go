package bootmenu

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// randomText is a text of one line from characters that shells and loaders have a
// meaning for.
func randomText(rng *rand.Rand, alphabet string) string {
	runes := []rune(alphabet)
	var sb strings.Builder
	for range rng.IntN(24) {
		sb.WriteRune(runes[rng.IntN(len(runes))])
	}
	return sb.String()
}

const awkward = `ab =,.:-_/$\'"{}()[]<>;&|#!^%*?~+@ü` + "`"

// eachCmdline gives many texts that pass as command lines.
func eachCmdline(t *testing.T, try func(cmdline string)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 11))
	tried := 0
	for range 20_000 {
		if text := randomText(rng, awkward); CheckCmdline(text) == nil {
			try(text)
			tried++
		}
	}
	if tried < 1000 {
		t.Errorf("only %d texts were tried", tried)
	}
}

// shellWords are the words of the first command in a script of GRUB's shell or
// U-Boot's: blanks part them, between single quotes everything is as it is, and
// elsewhere a backslash keeps the next character as it is.
func shellWords(script string) (words []string) {
	word, inWord, quoted, kept := "", false, false, false
	for _, r := range script {
		switch {
		case quoted && r == '\'':
			quoted = false
		case quoted || kept:
			word, kept = word+string(r), false
		case r == '\'':
			quoted, inWord = true, true
		case r == '\\':
			kept, inWord = true, true
		case r == ' ' || r == ';' || r == '\n':
			if inWord {
				words = append(words, word)
			}
			word, inWord = "", false
			if r != ' ' {
				return words
			}
		default:
			word, inWord = word+string(r), true
		}
	}
	return words
}

// TestGRUBPassesTheCommandLineOn plays GRUB: it puts words that hold a space into
// double quotes, and joins them.
func TestGRUBPassesTheCommandLineOn(t *testing.T) {
	t.Parallel()
	passed := 0
	eachCmdline(t, func(cmdline string) {
		text, err := GRUBConfig(booting(Boot{Kernel: "dir/a linux's kernel", Cmdline: cmdline}), Machine{})
		if err != nil {
			return
		}
		passed++
		line := strings.Split(string(text), "\n")[1]
		words := shellWords(strings.TrimPrefix(line, "if ") + "\n")
		if len(words) < 2 || words[0] != "linux" || words[1] != "/dir/a linux's kernel" {
			t.Fatalf("%q: %q", line, words)
		}
		for i, w := range words {
			if strings.Contains(w, " ") {
				words[i] = `"` + w + `"`
			}
		}
		got, ok := kernelWords(strings.Join(words[2:], " "))
		want, _ := kernelWords(cmdline)
		if !ok || !slices.Equal(got, want) {
			t.Fatalf("%q: the kernel gets %q, want %q", cmdline, got, want)
		}
	})
	if passed < 500 {
		t.Errorf("only %d texts were passed on", passed)
	}
}

func TestUBootScriptsPassTheCommandLineOn(t *testing.T) {
	t.Parallel()
	eachCmdline(t, func(cmdline string) {
		text, err := ubootText(booting(Boot{Kernel: "k", Cmdline: cmdline}), Machine{})
		if err != nil {
			if !strings.Contains(cmdline, `\`) {
				t.Fatalf("%q: %v", cmdline, err)
			}
			return
		}
		line := strings.Split(text, "\n")[1]
		if got := shellWords(line + "\n"); !slices.Equal(got, []string{"setenv", "bootargs", cmdline}) {
			t.Fatalf("%q: %q", cmdline, got)
		}
	})
}

// macros is what U-Boot makes of the line behind APPEND, with no variable set
// (common/cli_simple.c).
func macros(line string) string {
	var out strings.Builder
	previous := rune(0)
	quoted, runes := false, []rune(line)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		if r == '\\' && previous != '\\' && i+1 < len(runes) {
			previous = r
			i++
			r = runes[i]
		}
		switch {
		case r == '\'' && previous != '\\':
			quoted = !quoted
		case !quoted && r == '$' && previous != '\\' && i+1 < len(runes) && strings.ContainsRune("({", runes[i+1]):
			out.WriteString("<expanded>")
		default:
			out.WriteRune(r)
		}
		previous = r
	}
	return out.String()
}

// appended is the line behind APPEND.
func appended(text []byte) string {
	_, line, _ := strings.Cut(string(text), "\nAPPEND ")
	line, _, _ = strings.Cut(line, "\n")
	return line
}

func TestConfigurationsInLinesPassTheCommandLineOn(t *testing.T) {
	t.Parallel()
	eachCmdline(t, func(cmdline string) {
		want := strings.TrimSpace(cmdline)
		if want == "-" {
			return
		}
		d := booting(Boot{Kernel: "k", Cmdline: cmdline})
		extlinux, err := ExtlinuxConfig(d)
		if got := macros(appended(extlinux)); err != nil || got != want {
			t.Fatalf("U-Boot: %q becomes %q, %v", want, got, err)
		}
		pxelinux, err := PXELINUXConfig(d, Machine{}, true)
		if got := appended(pxelinux); err != nil || got != want {
			t.Fatalf("PXELINUX: %q becomes %q, %v", want, got, err)
		}
		rpi, err := RPiCmdline(d)
		if err != nil || string(rpi) != cmdline+"\n" {
			t.Fatalf("Raspberry Pi: %q becomes %q, %v", cmdline, rpi, err)
		}
	})
}

func TestTitlesSurvive(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 5))
	for range 5000 {
		title := "a" + randomText(rng, awkward)
		d := Decision{Menu: []*Profile{{Name: "p", Title: title, Group: title, Boot: Boot{Kernel: "k"}}}}
		d.Look = Menu{Title: title}.of(d.Menu)
		text, err := GRUBConfig(d, Machine{})
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		if got := shellWords(lines[0] + "\n"); !slices.Equal(got, []string{"echo", title}) {
			t.Fatalf("%q: the menu's title is %q", title, got)
		}
		for i, want := range map[int][]string{len(lines) - 4: {"submenu", title, "--id", "group-1", "{"}, len(lines) - 3: {"menuentry", title, "--id", "profile-p", "{", "configfile", "/netbootd/menu/p.grub", "}"}} {
			if got := shellWords(lines[i] + "\n"); !slices.Equal(got, want) {
				t.Fatalf("%q: %q, want %q", title, got, want)
			}
		}
		for _, graphical := range []bool{false, true} {
			text, err := PXELINUXConfig(d, Machine{}, graphical)
			label := "\nMENU LABEL " + strings.Join(strings.Fields(strings.ReplaceAll(title, "^", "")), " ")
			if err != nil || !strings.Contains(string(text), label) {
				t.Fatalf("%q, %v: %s lacks %q", title, err, text, label)
			}
		}
	}
}

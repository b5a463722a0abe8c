package source

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, shown, base string }{
		{"-", "standard input", ""},
		{"linux", "linux", "linux"},
		{"./a/b/", "./a/b/", "b"},
		{".", ".", "source"},
		{"/", "/", ""},
		{"a:b", "a:b", "a:b"},
		{"http://h/a%20b/linux?v=1#top", "http://h/a%20b/linux?...", "linux"},
		{"HTTPS://h:8443/", "https://h:8443/", ""},
		{"https://user:hush@h/f.iso?X-Amz-Signature=hush", "https://h/f.iso?...", "f.iso"},
		{"https://hush@h/f", "https://h/f", "f"},
		{"http://[2001:db8::1]:80/x", "http://[2001:db8::1]:80/x", "x"},
		{"s3://b/k", "s3://b/k", "k"},
		{"s3://b/a/k #1%20?endpoint=http://127.0.0.1:7070&region=eu-west-1", "s3://b/a/k #1%20", "k #1%20"},
		{"s3://b/p/", "s3://b/p/", "p"},
		{"s3://b", "s3://b/", "b"},
		{"sftp://h/srv/x", "sftp://h/srv/x", "x"},
		{"sftp://me:hush@h:2222/srv/a%20b", "sftp://me@h:2222/srv/a%20b", "a b"},
		{"sftp://h/~/x/y", "sftp://h/~/x/y", "y"},
		{"sftp://h/~/", "sftp://h/~/", ""},
		{"oci://localhost:5000/boot/debian", "oci://localhost:5000/boot/debian:latest", "debian"},
		{"oci://r.example/boot:12#linux", "oci://r.example/boot:12#linux", "linux"},
		{"oci://r.example/boot:12?plain-http=1", "oci://r.example/boot:12", "boot"},
	} {
		ref, err := Parse(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := ref.String(); got != tt.shown {
			t.Errorf("%s is shown as %s, want %s", tt.text, got, tt.shown)
		}
		if got := ref.Base(); got != tt.base {
			t.Errorf("%s has the base %q, want %q", tt.text, got, tt.base)
		}
	}
}

func TestParseRefusesInPlainWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want, hint string }{
		{"", "the source is empty", ""},
		{"a\x00b", "a path holds a zero byte", ""},
		{"gs://b/k", "cannot read from gs://, only from http, https, s3, sftp, oci, local paths, and - for standard input", "rclone cat remote:path | netbootd upload - NAME"},
		{"http:///x", "the http:// address names no host", ""},
		{"http://h:port/", `the http:// address cannot be parsed: invalid port ":port" after host`, ""},
		{"http://user:hu/sh@h/", "the http:// address cannot be parsed", "write / as %2F"},
		{"s3://", "the s3:// address names no bucket, want s3://bucket/key", ""},
		{"s3://u:hush@host/k", "the s3:// address names no bucket, want s3://bucket/key, without user or host", ""},
		{"s3://b/k?profile=x", `unknown option "profile" after ?, want endpoint or region`, ""},
		{"s3://b/k?endpoint=host:9000", "the S3 endpoint must begin with https:// or http://", ""},
		{"s3://b/k?endpoint=http://u:hush@h", "the S3 endpoint must be no more than http://h", ""},
		{"sftp://h/a?b", "in an sftp:// address write ? as %3F and # as %23", ""},
		{"oci://r.example", "want oci://registry/repository:tag", ""},
		{"oci://u:hush@r.example/x", "an oci:// address holds no user", "docker login"},
		{"oci://r.example/x?plain-http=yes", "plain-http=yes, want 1 or 0", ""},
	} {
		_, err := Parse(tt.text)
		if err == nil {
			t.Errorf("%q was parsed", tt.text)
			continue
		}
		if !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %s\nwant %s", tt.text, err, tt.want)
		}
		if !strings.Contains(hintOf(err), tt.hint) {
			t.Errorf("%q: got the hint %q, want %q in it", tt.text, hintOf(err), tt.hint)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"-", "a/b", "http://user:pw@h/x?sig=1", "s3://b/k?endpoint=http://h", "sftp://u:p@h/~/x", "oci://r/x:1@sha256:00#t", "x://y", "http://%zz@",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := Parse(text)
		if err != nil {
			return
		}
		_ = ref.String()
		if b := ref.Base(); b != "" && checkName(b) != nil {
			t.Errorf("%q has the base %q", text, b)
		}
	})
}

// FuzzParseKeepsSecrets puts a password and a query where they belong.
func FuzzParseKeepsSecrets(f *testing.F) {
	f.Add("http", "user", "host", "/path")
	f.Add("sftp", "", "[::1]:22", "/~/x")
	f.Add("s3", "a", "b", "/x")
	f.Add("oci", "a", "b", "/x:1")
	f.Fuzz(func(t *testing.T, scheme, user, host, path string) {
		const password, signature = "kq7v2", "wz9x4"
		if strings.ContainsAny(user+host, "/?#") || strings.ContainsAny(scheme, ":/") {
			t.Skip("the password would stand elsewhere")
		}
		text := scheme + "://" + user + ":" + password + "@" + host + path + "?sig=" + signature
		ref, err := Parse(text)
		shown := ""
		if err != nil {
			shown = err.Error() + hintOf(err)
		} else if !ref.IsLocal() {
			shown = ref.String()
		}
		if strings.Contains(shown, password) || strings.Contains(shown, signature) {
			t.Errorf("%q is told as %q", text, shown)
		}
	})
}

func TestNamesFromOutsideAreChecked(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"..", "../x", "a/../b", "/x", "a//b", "a/", ".", "a\nb", "\xff"} {
		if err := checkName(name); err == nil {
			t.Errorf("%q is taken for a name", name)
		}
	}
}

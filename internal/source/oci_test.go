package source

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/crypto/bcrypt"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
)

const ociPassword = "hush"

// startRegistry runs a real registry that wants a password, and a cutter in
// front of it.
func startRegistry(t *testing.T) (address string, cut *cutter) {
	t.Helper()
	binary := program(t, "pkg/docker-registry/usr/bin/docker-registry")
	dir, address := t.TempDir(), freeAddress(t)
	hash, err := bcrypt.GenerateFromPassword([]byte(ociPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	passwords, config := filepath.Join(dir, "htpasswd"), filepath.Join(dir, "config.yml")
	err = errors.Join(
		os.WriteFile(passwords, []byte("me:"+string(hash)+"\n"), 0o600),
		os.WriteFile(config, fmt.Appendf(nil, `version: 0.1
storage: {filesystem: {rootdirectory: %s}}
http: {addr: %s, secret: x}
auth: {htpasswd: {realm: lab, path: %s}}
`, filepath.Join(dir, "data"), address, passwords), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	startServer(t, exec.Command(binary, "serve", config), address)
	return address, newCutter(t, address)
}

// logIn writes what "docker login" would write.
func logIn(t *testing.T, password string, registries ...string) {
	t.Helper()
	auths := make(map[string]any)
	for _, r := range registries {
		auths[r] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte("me:" + password))}
	}
	b, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", dir)
}

// push puts an artifact into the registry.
func push(t *testing.T, address, tag string, layers ...ocispec.Descriptor) {
	t.Helper()
	repo, err := remote.NewRepository(address + "/boot/debian")
	if err != nil {
		t.Fatal(err)
	}
	client := newHTTPClient()
	defer client.CloseIdleConnections()
	repo.PlainHTTP = true
	repo.Client = &auth.Client{Client: client, Credential: auth.StaticCredential(address, auth.Credential{Username: "me", Password: ociPassword})}
	config := ocispec.DescriptorEmptyJSON
	for i, l := range append([]ocispec.Descriptor{config}, layers...) {
		if err := repo.Blobs().Push(t.Context(), l, bytes.NewReader(l.Data)); err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			layers[i-1].Data = nil
		}
	}
	config.Data = nil
	b, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config, Layers: layers})
	if err != nil {
		t.Fatal(err)
	}
	desc := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromBytes(b), Size: int64(len(b))}
	if err := repo.PushReference(t.Context(), desc, bytes.NewReader(b), tag); err != nil {
		t.Fatal(err)
	}
}

func layer(title string, content []byte) ocispec.Descriptor {
	d := ocispec.Descriptor{MediaType: "application/octet-stream", Digest: digest.FromBytes(content), Size: int64(len(content)), Data: content}
	if title != "" {
		d.Annotations = map[string]string{ocispec.AnnotationTitle: title}
	}
	return d
}

func TestOCI(t *testing.T) {
	address, cut := startRegistry(t)
	logIn(t, ociPassword, address, cut.address)
	kernel := noise(5, 3<<20)
	packed := layer("conf.d", []byte("tar"))
	packed.Annotations[packedDirectory] = "true"
	push(t, address, "12", layer("boot/linux", kernel), layer("initrd.gz", []byte("ramdisk")), layer("", []byte("nameless")))
	push(t, address, "packed", packed, layer("linux", []byte("kernel")))
	push(t, address, "bare", layer("", []byte("nameless")))
	ref := "oci://" + cut.address + "/boot/debian"

	t.Run("all files of an artifact", func(t *testing.T) {
		items, refused := list(t, open(t, ref+":12", Options{}))
		if len(items) != 2 || len(refused) != 0 {
			t.Fatalf("got %v and %v", items, refused)
		}
		it := items["boot/linux"]
		if it.Size != int64(len(kernel)) || it.SHA256 != sum(kernel) || it.Version != "sha256:"+sum(kernel) {
			t.Errorf("got %+v", it)
		}
		for _, offset := range []int{0, 1, 2 << 20, len(kernel)} {
			wantBytes(t, it, offset, kernel)
		}
		wantBytes(t, items["initrd.gz"], 0, []byte("ramdisk"))
	})
	t.Run("one file of it", func(t *testing.T) {
		it := single(t, open(t, ref+":12#boot/linux", Options{}))
		if it.Name != "linux" {
			t.Errorf("it is named %s", it.Name)
		}
		wantBytes(t, it, 0, kernel)
	})
	t.Run("cut connections", func(t *testing.T) {
		wantBytesThroughCuts(t, single(t, open(t, ref+":12#boot/linux", Options{})), cut, kernel)
	})
	t.Run("a packed directory is refused by name", func(t *testing.T) {
		items, refused := list(t, open(t, ref+":packed", Options{}))
		if err := refused["conf.d"]; err == nil || !strings.HasSuffix(err.Error(), "conf.d: a packed directory, not a file") {
			t.Error(err)
		}
		wantBytes(t, items["linux"], 0, []byte("kernel"))
	})
	t.Run("errors", func(t *testing.T) {
		for suffix, want := range map[string]string{
			":12#missing": `it has no file "missing", it has boot/linux, initrd.gz`,
			":bare":       "none of its layers is a file, which would have a title (org.opencontainers.image.title)",
			":13":         "the registry has no such artifact",
		} {
			if err := listError(t, ref+suffix); !strings.HasSuffix(err.Error(), suffix+": "+want) {
				t.Error(err)
			}
		}
		logIn(t, "wrong-hush", cut.address)
		err := listError(t, ref+":12")
		if !strings.HasSuffix(err.Error(), "the registry says 401 Unauthorized") || !strings.Contains(hintOf(err), "docker login") {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	})
}

package source

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	s3User   = "bench"
	s3Secret = "hush-hush-hush"
)

// startS3 runs a real S3 server with a bucket. It sets the environment that
// finds it, through a cutter.
func startS3(t *testing.T) (*minio.Client, *cutter) {
	t.Helper()
	binary := program(t, "versitygw")
	address := freeAddress(t)
	files, attributes := t.TempDir(), t.TempDir()
	cmd := exec.Command(binary, "--access", s3User, "--secret", s3Secret, "--port", address, "--quiet", "posix", "--sidecar", attributes, files)
	cmd.Env = []string{"HOME=" + t.TempDir()}
	startServer(t, cmd, address)
	client, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(s3User, s3Secret, ""), Transport: newTransport()})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.MakeBucket(t.Context(), "firmware", minio.MakeBucketOptions{}); err != nil {
		t.Fatal(err)
	}
	c := newCutter(t, address)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": "http://" + c.address, "AWS_ENDPOINT_URL_S3": "", "AWS_ACCESS_KEY_ID": s3User, "AWS_SECRET_ACCESS_KEY": s3Secret, "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "us-east-1", "AWS_PROFILE": "", "HOME": t.TempDir(), "AWS_SHARED_CREDENTIALS_FILE": "", "AWS_CONFIG_FILE": "",
	} {
		t.Setenv(name, value)
	}
	return client, c
}

func put(t *testing.T, client *minio.Client, key string, content []byte) {
	t.Helper()
	if _, err := client.PutObject(t.Context(), "firmware", key, bytes.NewReader(content), int64(len(content)), minio.PutObjectOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestS3(t *testing.T) {
	client, cut := startS3(t)
	kernel := noise(3, 3<<20)
	put(t, client, "boot/linux", kernel)
	put(t, client, "boot/sub dir/initrd #1%20.gz", []byte("ramdisk"))
	put(t, client, "boot/empty", nil)
	put(t, client, "other", []byte("x"))

	t.Run("one object", func(t *testing.T) {
		it := single(t, open(t, "s3://firmware/boot/linux", Options{}))
		if it.Name != "linux" || it.Size != int64(len(kernel)) || it.ModTime.IsZero() || it.Version == "" || it.SHA256 != "" {
			t.Errorf("got %+v", it)
		}
		for _, offset := range []int{0, 1, 2 << 20, len(kernel)} {
			wantBytes(t, it, offset, kernel)
		}
	})
	t.Run("a prefix", func(t *testing.T) {
		items, refused := list(t, open(t, "s3://firmware/boot/", Options{}))
		if diff := cmp.Diff([]string{"empty", "linux", "sub dir/initrd #1%20.gz"}, slices.Sorted(maps.Keys(items))); diff != "" || len(refused) != 0 {
			t.Error(diff, refused)
		}
		wantBytes(t, items["sub dir/initrd #1%20.gz"], 0, []byte("ramdisk"))
		wantBytes(t, items["empty"], 0, nil)
	})
	t.Run("cut connections", func(t *testing.T) {
		wantBytesThroughCuts(t, single(t, open(t, "s3://firmware/boot/linux", Options{})), cut, kernel)
	})
	t.Run("an object that changes", func(t *testing.T) {
		it := single(t, open(t, "s3://firmware/boot/linux", Options{}))
		cut.cutAfter(700_000)
		defer cut.cutAfter(0)
		r, err := it.Open(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		put(t, client, "boot/linux", noise(4, 3<<20))
		defer put(t, client, "boot/linux", kernel)
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "s3://firmware/boot/linux: after ") {
			t.Error(err)
		}
		if err := readError(t, it); !errors.Is(err, ErrChanged) {
			t.Error(err)
		}
	})
	t.Run("the address of the server in the reference", func(t *testing.T) {
		address := os.Getenv("AWS_ENDPOINT_URL")
		t.Setenv("AWS_ENDPOINT_URL", "http://"+freeAddress(t))
		wantBytes(t, single(t, open(t, "s3://firmware/other?region=us-east-1&endpoint="+address, Options{})), 0, []byte("x"))
	})
	t.Run("credentials of a shared file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "credentials")
		if err := os.WriteFile(file, []byte("[lab]\naws_access_key_id = "+s3User+"\naws_secret_access_key = "+s3Secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		t.Setenv("AWS_PROFILE", "lab")
		wantBytes(t, single(t, open(t, "s3://firmware/other", Options{})), 0, []byte("x"))
	})
	t.Run("errors", func(t *testing.T) {
		if err := listError(t, "s3://firmware/boot"); !strings.HasSuffix(err.Error(), "s3://firmware/boot: there is no such object") || hintOf(err) != "a prefix, to read all below it, ends in a slash: s3://firmware/boot/" {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
		if err := listError(t, "s3://firmware/none/"); !strings.HasSuffix(err.Error(), "there is no file in it") {
			t.Error(err)
		}
		if err := listError(t, "s3://no-such-bucket/x/"); !strings.HasSuffix(err.Error(), "there is no bucket no-such-bucket") {
			t.Error(err)
		}
		t.Setenv("AWS_SECRET_ACCESS_KEY", "wrong-hush")
		if err := listError(t, "s3://firmware/boot/"); !strings.Contains(err.Error(), "the server says 403 SignatureDoesNotMatch") || strings.Contains(err.Error(), "hush") {
			t.Error(err)
		}
		t.Setenv("AWS_ACCESS_KEY_ID", "")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "")
		if err := listError(t, "s3://firmware/boot/"); !strings.Contains(hintOf(err), "AWS_ACCESS_KEY_ID") {
			t.Errorf("got %v, hint %q", err, hintOf(err))
		}
	})
}

package synth_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/synth"
)

// TestReaders opens what we write with programs that others wrote.
func TestReaders(t *testing.T) {
	t.Parallel()
	p := synth.New(synth.Seed).Patient()
	tests := []struct {
		name    string
		kind    string
		file    string
		program string
		slow    bool
		args    func(in, dir string) []string
		out     string // file it writes, "" for standard output
		want    []string
	}{
		{"Writer reads the docx", "docx", "a.docx", "soffice", true, soffice("txt:Text (encoded):UTF8"), "a.txt",
			[]string{p.Name(), p.MRN, p.Diagnoses[0].Code, p.Phone}},
		{"Calc reads the xlsx", "xlsx", "a.xlsx", "soffice", true, soffice("csv"), "a.csv",
			[]string{"MRN,Last name", p.MRN + "," + p.Family, p.SSN}},
		{"pdftotext reads the pdf", "pdf", "a.pdf", "pdftotext", false,
			func(in, _ string) []string { return []string{"-layout", in, "-"} }, "",
			[]string{"MRN: " + p.MRN, p.DashedMBI(), "\f", "NPI " + p.NPI}},
		{"unzip reads the zip", "zip", "a.zip", "unzip", false,
			func(in, _ string) []string { return []string{"-p", in} }, "", []string{p.SSN}},
		{"unzip opens ZipCrypto", "zipcrypto", "a.zip", "unzip", false,
			func(in, _ string) []string { return []string{"-P", "open sesame", "-p", in} }, "", []string{p.SSN}},
		{"7z opens AES", "zipaes", "a.zip", "7z", false,
			func(in, _ string) []string { return []string{"x", "-so", "-popen sesame", in} }, "", []string{p.SSN}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.slow && testing.Short() {
				t.Skip("starts an office program: not in -short")
			}
			program, err := exec.LookPath(tt.program)
			if err != nil {
				t.Skipf("%s is not installed", tt.program)
			}
			dir := t.TempDir()
			in := filepath.Join(dir, tt.file)
			if err := os.WriteFile(in, documents(synth.Seed)[tt.kind], 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := output(t, program, dir, tt.args(in, dir))
			if tt.slow && err != nil { // seen once: soffice gives up while another one starts
				got, err = output(t, program, dir, tt.args(in, dir))
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.out != "" {
				if got, err = os.ReadFile(filepath.Join(dir, tt.out)); err != nil {
					t.Fatal(err)
				}
			}
			for _, want := range tt.want {
				if !strings.Contains(string(got), want) {
					t.Errorf("got %q, want it to hold %q", got, want)
				}
			}
		})
	}
}

// output runs program in dir and returns what it prints.
func output(t *testing.T, program, dir string, args []string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s", filepath.Base(program), err, stderr.String())
	}
	return out, nil
}

// TestWrongPassword shows that the encrypted archives are encrypted.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		kind string
		args []string
	}{
		{"ZipCrypto", "zipcrypto", []string{"t", "-pwrong"}},
		{"AES", "zipaes", []string{"t", "-pwrong"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath("7z")
			if err != nil {
				t.Skip("7z is not installed")
			}
			in := filepath.Join(t.TempDir(), "a.zip")
			if err := os.WriteFile(in, documents(synth.Seed)[tt.kind], 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), program, append(tt.args, in)...).CombinedOutput(); err == nil {
				t.Errorf("7z opened it with a wrong password: %s", out)
			}
		})
	}
}

// soffice returns the arguments that convert a file, with a profile of its own
// so that two can run side by side.
func soffice(to string) func(in, dir string) []string {
	return func(in, dir string) []string {
		return []string{"-env:UserInstallation=file://" + filepath.Join(dir, "profile"), "--headless", "--convert-to", to, "--outdir", dir, in}
	}
}

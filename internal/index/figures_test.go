package index_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stanch-dlp/stanch/internal/index"
)

// TestIndexFigures measures an index of ten million invented patients: `make
// bench-index`. Building and looking up have a process each, so that the memory
// of neither is the other's.
func TestIndexFigures(t *testing.T) {
	if os.Getenv("STANCH_BENCH") == "" {
		t.Skip("set STANCH_BENCH=1, as make bench-index does")
	}
	dir := os.Getenv("STANCH_BENCH_INDEX")
	switch os.Getenv("STANCH_BENCH_STEP") {
	case "build":
		buildFigures(t, dir)
		return
	case "look":
		lookFigures(t, dir)
		return
	}
	dir = t.TempDir()
	rows := benchRows(t)
	writePatients(t, filepath.Join(dir, "patients.csv"), rows)
	if err := index.NewKey().Save(filepath.Join(dir, "patients.key")); err != nil {
		t.Fatal(err)
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%d patients with 4 tokens each, %d cores, load %s\n", rows, runtime.NumCPU(), strings.Fields(string(load))[0])
	for _, step := range []string{"build", "look"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestIndexFigures$", "-test.timeout=60m")
		cmd.Env = append(os.Environ(), "STANCH_BENCH_INDEX="+dir, "STANCH_BENCH_STEP="+step)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}
}

func benchRows(t *testing.T) int {
	n := 10_000_000
	if s := os.Getenv("STANCH_BENCH_ROWS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// patientNo invents the fields of patient i.
func patientNo(i int) (mrn, ssn, given, family, born, phone string) {
	r := rand.New(rand.NewPCG(uint64(i), 41))
	return fmt.Sprintf("%08d", 10_000_001+7*i), fmt.Sprintf("%03d-%02d-%04d", 1+r.IntN(665), 1+r.IntN(99), 1+r.IntN(9999)),
		letters(r.IntN(5000)), letters(5000 + r.IntN(150_000)),
		fmt.Sprintf("%04d-%02d-%02d", 1925+r.IntN(100), 1+r.IntN(12), 1+r.IntN(28)), fmt.Sprintf("(%d) %03d-%04d", 200+r.IntN(800), 200+r.IntN(800), r.IntN(10000))
}

// letters is a name for a number.
func letters(n int) string {
	b := []byte("Aaaaaa")
	for i := len(b) - 1; i > 0; i-- {
		b[i] = byte('a' + n%26)
		n /= 26
	}
	return string(b)
}

func writePatients(t *testing.T, path string, rows int) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	fmt.Fprintln(w, "mrn,ssn,first,last,dob,phone")
	for i := range rows {
		mrn, ssn, given, family, born, phone := patientNo(i)
		fmt.Fprintf(w, "%s,%s,%s,%s,%s,%s\n", mrn, ssn, given, family, born, phone)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func buildFigures(t *testing.T, dir string) {
	key, err := index.LoadKey(filepath.Join(dir, "patients.key"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(filepath.Join(dir, "patients.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	info, _ := in.Stat()
	began := time.Now()
	r, err := index.Build(t.Context(), index.Options{Dir: filepath.Join(dir, "index"), Key: key, Now: began}, in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Stat(filepath.Join(dir, "index", "main.idx"))
	if err != nil {
		t.Fatal(err)
	}
	var tokens int64
	for _, n := range r.Tokens {
		tokens += n
	}
	fmt.Printf("built in %.0f s (%.0f s of processor time) from %d MiB of CSV; most memory %s; %d rows, %d tokens, %d MiB on disk\n",
		time.Since(began).Seconds(), spent().Seconds(), info.Size()>>20,
		memory(t, "VmHWM"), r.Rows, tokens, out.Size()>>20)
}

// spent is how much processor time this process has taken: on a machine that has
// other work it says more than the clock.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is a line of /proc/self/status.
func memory(t *testing.T, what string) string {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return fmt.Sprintf("%d MiB", kb>>10)
		}
	}
	return "unknown"
}

func lookFigures(t *testing.T, dir string) {
	runtime.GOMAXPROCS(1)
	key, err := index.LoadKey(filepath.Join(dir, "patients.key"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	ix, err := index.Open(filepath.Join(dir, "index"), key)
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	fmt.Printf("opened in %.0f ms\n", float64(time.Since(began).Microseconds())/1000)
	rows := int(ix.Segments()[0].Rows)
	into := make([]uint64, 0, 32)
	// Numbers of patients' form that none of these has: record numbers step by 7.
	const none = 3_000_000
	began, used := time.Now(), spent()
	hits := 0
	var buf []byte
	for i := range none {
		n := 10_000_002 + 7*(i%rows) + i/rows%6
		buf = strconv.AppendInt(buf[:0], int64(n), 10)
		into, err = ix.Find(into[:0], "mrn", buf)
		if err != nil {
			t.Fatal(err)
		}
		hits += len(into)
	}
	fmt.Printf("negative look-ups: %.0f a second on one core (%.0f a second of processor time), %d false hits in %d\n",
		none/time.Since(began).Seconds(), none/(spent()-used).Seconds(), hits, none)
	if hits > 0 {
		t.Errorf("got %d false hits, want none", hits)
	}
	const some = 300_000
	values := make([]string, some)
	for i := range values {
		var mrn, ssn, phone string
		mrn, ssn, _, _, _, phone = patientNo(int(uint64(i) * 2654435761 % uint64(rows)))
		values[i] = [3]string{mrn, ssn, phone}[i%3]
	}
	began, used = time.Now(), spent()
	for i, v := range values {
		into, err = ix.Find(into[:0], [3]string{"mrn", "ssn", "phone"}[i%3], []byte(v))
		if err != nil || len(into) == 0 {
			t.Fatalf("look-up %d: got %v, %v; want a row", i, into, err)
		}
	}
	fmt.Printf("positive look-ups: %.0f a second on one core (%.0f a second of processor time), the table in the page cache\n",
		some/time.Since(began).Seconds(), some/(spent()-used).Seconds())
	runtime.GC()
	fmt.Printf("resident %s, at most %s\n", memory(t, "VmRSS"), memory(t, "VmHWM"))
}

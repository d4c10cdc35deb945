package parquet_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/extract/parquet"
)

const room = 1 << 20

var errEnough = errors.New("enough")

// table is what a file said.
type table struct {
	names string
	rows  []string
	pairs []string
	row   []string
	last  int
	spent int
	most  int // that may be spent; 0: any
}

func (t *table) Columns(names []string) error {
	t.names = strings.Join(names, "|")
	return nil
}

func (t *table) Cell(column int, v parquet.Value) error {
	text := v.Text + string(v.Bytes)
	if v.Key != "" {
		text = v.Key + "=" + text
	}
	if n := len(t.row); n > 0 && column == t.last {
		t.row[n-1] += "," + text
	} else {
		t.row = append(t.row, strconv.Itoa(column)+":"+text)
	}
	t.last = column
	return t.Spend(1)
}

func (t *table) EndRow() error {
	t.rows = append(t.rows, strings.Join(t.row, "|"))
	t.row = t.row[:0]
	return t.Spend(1)
}

func (t *table) Pair(key, value string) error {
	t.pairs = append(t.pairs, key+"="+value)
	return nil
}

func (t *table) Spend(n int) error {
	if t.spent += n; t.most > 0 && t.spent > t.most {
		return errEnough
	}
	return nil
}

func load(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPrograms reads what DuckDB and arrow-rs write of one table, by every codec
// that they have, both versions of pages and all encodings of values.
func TestPrograms(t *testing.T) {
	const names = "mrn|ssn|born|seen|paid|weight|n|ok|hour|id|other_ssn|person.given|person.phones|ids.key|ids.value|doc"
	want := []string{
		"0:E1234567|1:536-22-8145|2:1980-03-04|3:2026-01-02 03:04:05.5|4:12.50|5:1.5|6:-7|7:true|8:08:30:00|9:0f0e0d0c-0b0a-4908-8706-050403020100|10:536-22-8146,536-22-8147|11:Ann|12:555-0101,555-0102|13:mrn,room|14:mrn=E7654321,room=12|15:text of a blob",
		"0:E1234568|4:-0.05|6:8|7:false|11:Bob",
		"0:E1234569|1:536-22-8148|2:1899-12-31|3:1900-01-01 00:00:00|5:0.1|6:9|8:23:59:59.25",
	}
	for _, file := range []string{"duckdb-uncompressed", "duckdb-snappy", "duckdb-gzip", "duckdb-zstd", "duckdb-brotli", "duckdb-lz4_raw", "duckdb-v2",
		"arrow-rs-delta", "arrow-rs-lz4", "arrow-rs-split"} {
		t.Run(file, func(t *testing.T) {
			got := &table{}
			if err := parquet.Read(load(t, file+".parquet"), room, got); err != nil {
				t.Error(err)
			}
			rows := strings.Join(got.rows, "\n")
			if strings.HasPrefix(file, "arrow-rs") { // Arrow has no type of identifiers: DuckDB's go through it as text
				rows = strings.ReplaceAll(rows, "\x0f\x0e\x0d\x0c\x0b\x0a\x49\x08\x87\x06\x05\x04\x03\x02\x01\x00", "0f0e0d0c-0b0a-4908-8706-050403020100")
			}
			if got.names != names || rows != strings.Join(want, "\n") {
				t.Errorf("got %s\n%s\nwant %s\n%s", got.names, rows, names, strings.Join(want, "\n"))
			}
		})
	}
	got := &table{}
	if err := parquet.Read(load(t, "duckdb-v2.parquet"), room, got); err != nil || strings.Join(got.pairs, " ") != "author=Dr. Example note=MRN E1112223" {
		t.Errorf("metadata: got %q, %v", got.pairs, err)
	}
}

// TestMany reads several row groups, pages and a dictionary.
func TestMany(t *testing.T) {
	for _, file := range []string{"duckdb-groups", "arrow-rs-pages"} {
		got := &table{}
		if err := parquet.Read(load(t, file+".parquet"), room, got); err != nil || len(got.rows) != 3000 {
			t.Fatalf("%s: %d rows, %v", file, len(got.rows), err)
		}
		for i, row := range got.rows {
			want := "0:E" + strconv.Itoa(1000000+i) + "|1:" + strconv.Itoa(i%7)
			if i%3 != 0 {
				want += "|2:ward " + strconv.Itoa(i%5)
			}
			if row != want {
				t.Fatalf("%s: row %d: got %q, want %q", file, i, row, want)
			}
		}
	}
}

// TestDamaged holds that what is encrypted, cut or changed is told.
func TestDamaged(t *testing.T) {
	got := &table{}
	if err := parquet.Read(load(t, "duckdb-encrypted.parquet"), room, got); !errors.Is(err, parquet.ErrEncrypted) || len(got.rows) > 0 {
		t.Errorf("encrypted: got %v", err)
	}
	b := load(t, "duckdb-groups.parquet")
	for name, b := range map[string][]byte{"empty": nil, "marks alone": []byte("PAR1PAR1"), "cut": b[:len(b)/2], "without its end": b[:len(b)-4],
		"a long footer": append(binary.LittleEndian.AppendUint32(append([]byte{}, b[:len(b)-8]...), 1<<31), "PAR1"...)} {
		if err := parquet.Read(b, room, &table{}); !errors.Is(err, parquet.ErrCorrupt) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	changed := append([]byte{}, b...)
	for i := 100; i < 400; i++ {
		changed[i] ^= 0x5a
	}
	if err := parquet.Read(changed, room, &table{}); !errors.Is(err, parquet.ErrCorrupt) {
		t.Errorf("changed: got %v", err)
	}
	if err := parquet.Read(load(t, "duckdb-zstd.parquet"), 8, &table{}); !errors.Is(err, parquet.ErrTooLarge) {
		t.Errorf("no room: got %v", err)
	}
}

// thrift writes compact structures: fields in the order of their numbers.
func thrift(fields ...any) []byte {
	var b []byte
	last := 0
	for i := 0; i < len(fields); i += 2 {
		id := fields[i].(int)
		d := byte(id-last) << 4
		last = id
		switch v := fields[i+1].(type) {
		case int:
			b = binary.AppendVarint(append(b, d|5), int64(v))
		case string:
			b = append(binary.AppendUvarint(append(b, d|8), uint64(len(v))), v...)
		case []byte: // a structure
			b = append(append(b, d|12), v...)
		case [][]byte:
			b = append(b, d|9, byte(len(v))<<4|12)
			for _, e := range v {
				b = append(b, e...)
			}
		}
	}
	return append(b, 0)
}

// forged is a file of one column of numbers whose pages are given.
func forged(codec int, pages ...[]byte) []byte {
	return forgedOf(codec, thrift(1, 1, 3, 0, 4, "n"), pages...)
}

// forgedOf is forged of a column of another kind.
func forgedOf(codec int, column []byte, pages ...[]byte) []byte {
	b := []byte("PAR1")
	for _, p := range pages {
		b = append(b, p...)
	}
	size := len(b) - 4
	meta := thrift(1, 1, 4, codec, 5, 1, 6, size, 7, size, 9, 4)
	footer := thrift(1, 1, 2, [][]byte{thrift(4, "schema", 5, 1), column}, 3, 1, 4, [][]byte{thrift(1, [][]byte{thrift(2, 4, 3, meta)}, 2, size, 3, 1)})
	b = append(b, footer...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(footer))), "PAR1"...)
}

func page(kind, unpacked, values, encoding int, body string) []byte {
	head := thrift(1, kind, 2, unpacked, 3, len(body), 5+2*(kind/2), thrift(1, values, 2, encoding, 3, 3, 4, 3))
	return append(head, body...)
}

// TestForged holds the bounds of what is claimed.
func TestForged(t *testing.T) {
	one := page(0, 4, 1, 0, "\x01\x00\x00\x00")
	good := &table{}
	if err := parquet.Read(forged(0, one), room, good); err != nil || strings.Join(good.rows, " ") != "0:1" {
		t.Fatalf("got %q, %v", good.rows, err)
	}
	const most = 1 << 20
	for name, c := range map[string]struct {
		file []byte
		want error
	}{
		"a page that unpacks to 1 GiB":      {forged(6, page(0, 1<<30, 1, 0, "\x01\x00\x00\x00")), parquet.ErrTooLarge},
		"a page that is not what it claims": {forged(6, page(0, room/2, 1, 0, "\x01\x00\x00\x00")), parquet.ErrCorrupt},
		"two thousand million times one":    {forged(0, page(2, 4, 1, 0, "\x01\x00\x00\x00"), page(0, 6, 1<<31-1, 8, "\x01\xfe\xff\xff\xff\x0f\x00")), errEnough},
		"differences without bits":          {forged(0, page(0, 9, 1<<31-1, 5, "\x80\x01\x04\xff\xff\xff\xff\x07\x02\x02\x00\x00\x00\x00")), parquet.ErrCorrupt},
		"more values than there are":        {forged(0, page(0, 4, 1<<30, 0, "\x01\x00\x00\x00")), parquet.ErrCorrupt},
		"a size below zero":                 {forged(0, page(0, -4, 1, 0, "\x01\x00\x00\x00")), parquet.ErrCorrupt},
		"a dictionary that is not there":    {forged(0, page(0, 6, 1, 8, "\x01\x02\x00")), parquet.ErrCorrupt},
		"LZO":                               {forged(3, one), parquet.ErrUnsupported},
		"an encoding of the future":         {forged(0, page(0, 4, 1, 77, "\x01\x00\x00\x00")), parquet.ErrUnsupported},
	} {
		if err := parquet.Read(c.file, room, &table{most: most}); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestSplitGiant: values of 2 GiB each, of which no page has one, take no memory.
func TestSplitGiant(t *testing.T) {
	file := forgedOf(0, thrift(1, 7, 2, 1<<31-1, 3, 0, 4, "n"), page(0, 4, 1, 9, "\x01\x00\x00\x00"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := parquet.Read(file, room, &table{}); !errors.Is(err, parquet.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("it took %d bytes", n)
	}
}

// counter keeps nothing of cells, of which a row may have a million.
type counter struct{ table }

func (c *counter) Cell(_ int, v parquet.Value) error { return c.Spend(1 + len(v.Text) + len(v.Bytes)) }

// FuzzRead holds that no bytes make it panic or unpack more than it may.
func FuzzRead(f *testing.F) {
	files, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Add(forged(0, page(2, 4, 1, 0, "\x01\x00\x00\x00"), page(0, 6, 1<<31-1, 8, "\x01\xfe\xff\xff\xff\x0f\x00")))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := parquet.Read(b, room, &counter{table{most: 1 << 20}})
		for _, known := range []error{nil, errEnough, parquet.ErrCorrupt, parquet.ErrEncrypted, parquet.ErrTooLarge, parquet.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("got %v", err)
	})
}

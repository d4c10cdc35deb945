package smtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/stanch-dlp/stanch/internal/safefile"
	"github.com/stanch-dlp/stanch/smtp/scram"
)

const (
	userRounds  = 1 << 16 // of PBKDF2; some tens of milliseconds, for the client by SCRAM, for us by PLAIN; Cyrus SASL refuses more
	maxUserName = 255     // bytes
	maxPassword = 512     // bytes
	minPassword = 12      // characters of a new one
	maxUserFile = 16 << 20
	usersHead   = "# Who may log in at the mail door. Kept by `stanch smtp-user`; docs/smtp.md has the format.\n"
	seedPrefix  = "$seed:"
)

// Errors of a users file. None quotes it.
var (
	ErrUserName    = errors.New("smtp: a user name is 1 to 255 bytes without spaces, control characters, \":\", or \"$\" or \"#\" in front")
	ErrNoUser      = errors.New("smtp: no such user")
	ErrWeak        = errors.New("smtp: a password has at least 12 characters, at most 512 bytes, and no NUL")
	errUserFile    = errors.New("smtp: the users file is damaged, or not one")
	errUsersListed = errors.New("smtp: the users file may be read by others: want mode 0600 or 0640")
)

// Users are those who may log in. They follow their file. Safe for use by many
// goroutines.
type Users struct{ files *followed[userFile] }

// userFile is what a users file says.
type userFile struct {
	seed  []byte // makes the keys of users who do not exist
	names []string
	keys  map[string]scram.Keys
}

// LoadUsers reads the file at path, which must not be open to everybody. log
// hears of later changes; it may be nil.
func LoadUsers(path string, log *slog.Logger) (*Users, error) {
	f, err := follow(log, func() (userFile, error) { return readUsers(path) }, path)
	if err != nil {
		return nil, fmt.Errorf("smtp: load users %s: %w", path, cause(err))
	}
	return &Users{f}, nil
}

// keys returns the keys of user; of one who does not exist, keys that look
// like those of somebody who does, and stay the same, so that nobody can tell.
// false: there is no such user.
func (u *Users) keys(user string) (scram.Keys, bool) {
	f := u.files.get()
	mac := hmac.New(sha256.New, f.seed)
	mac.Write([]byte(user))
	salt := mac.Sum(nil)
	k, ok := f.keys[user]
	if !ok {
		n, rounds := 16, userRounds
		if len(f.names) > 0 { // keys that were made elsewhere may have other rounds and salts
			like := f.keys[f.names[binary.BigEndian.Uint32(salt[28:])%uint32(len(f.names))]]
			n, rounds = min(len(like.Salt), len(salt)), like.Iterations
		}
		k = scram.Keys{Salt: salt[:n], Iterations: rounds}
	}
	return k, ok
}

func readUsers(path string) (userFile, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return userFile{}, err
	}
	if fi.Mode().Perm()&0o027 != 0 {
		return userFile{}, errUsersListed
	}
	if fi.Size() > maxUserFile {
		return userFile{}, errUserFile
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return userFile{}, err
	}
	return parseUsers(b)
}

// parseUsers reads NAME:SCRAM-SHA-256$ROUNDS:SALT$STORED:SERVER lines, the form
// in which PostgreSQL keeps them, and the seed.
func parseUsers(b []byte) (userFile, error) {
	f := userFile{keys: map[string]scram.Keys{}}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if s, ok := strings.CutPrefix(line, seedPrefix); ok {
			seed, err := base64.StdEncoding.DecodeString(s)
			if err != nil || len(seed) < 16 {
				return userFile{}, errUserFile
			}
			f.seed = seed
			continue
		}
		name, rest, ok := strings.Cut(line, ":")
		k, ok2 := parseKeys(rest)
		if _, twice := f.keys[name]; !ok || !ok2 || twice || !isUserName(name) {
			return userFile{}, errUserFile
		}
		f.names = append(f.names, name)
		f.keys[name] = k
	}
	if f.seed == nil {
		return userFile{}, errUserFile
	}
	return f, nil
}

func parseKeys(s string) (k scram.Keys, ok bool) {
	s, ok = strings.CutPrefix(s, scram.Mechanism+"$")
	salted, keys, ok2 := strings.Cut(s, "$")
	rounds, salt, ok3 := strings.Cut(salted, ":")
	stored, server, ok4 := strings.Cut(keys, ":")
	n, err := strconv.Atoi(rounds)
	b64 := base64.StdEncoding
	saltBytes, err2 := b64.DecodeString(salt)
	storedKey, err3 := b64.DecodeString(stored)
	serverKey, err4 := b64.DecodeString(server)
	if !ok || !ok2 || !ok3 || !ok4 || errors.Join(err, err2, err3, err4) != nil || n < 4096 || n > 1_000_000 || len(saltBytes) < 8 ||
		len(storedKey) != sha256.Size || len(serverKey) != sha256.Size {
		return scram.Keys{}, false
	}
	return scram.Keys{Salt: saltBytes, Iterations: n, StoredKey: [32]byte(storedKey), Server: [32]byte(serverKey)}, true
}

func isUserName(s string) bool {
	return s != "" && len(s) <= maxUserName && s[0] != '$' && s[0] != '#' && !strings.ContainsAny(s, ": ") && isPrintableUTF8(s)
}

// UserNames lists the users of the file at path, in its order; none where there
// is no file.
func UserNames(path string) ([]string, error) {
	f, err := readUsers(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return f.names, err
}

// SetUser adds a user to the file at path, or gives one another password. The
// file is made where there is none, and written whole and synced. Only one
// process may change it at a time.
func SetUser(path, name, password string) error {
	if !isUserName(name) {
		return ErrUserName
	}
	if len([]rune(password)) < minPassword || len(password) > maxPassword || strings.ContainsRune(password, 0) {
		return ErrWeak
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails: crypto/rand.Read ends the program instead
	k, err := scram.Derive(password, salt[:], userRounds)
	if err != nil {
		return err
	}
	return changeUsers(path, func(f *userFile) error {
		if _, ok := f.keys[name]; !ok {
			f.names = append(f.names, name)
		}
		f.keys[name] = k
		return nil
	})
}

// RemoveUser takes a user out of the file at path. ErrNoUser.
func RemoveUser(path, name string) error {
	return changeUsers(path, func(f *userFile) error {
		if _, ok := f.keys[name]; !ok {
			return ErrNoUser
		}
		delete(f.keys, name)
		return nil
	})
}

func changeUsers(path string, change func(*userFile) error) error {
	f, err := readUsers(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = userFile{seed: make([]byte, 32), keys: map[string]scram.Keys{}}, nil
		rand.Read(f.seed)
	}
	if err != nil {
		return fmt.Errorf("smtp: read users: %w", cause(err))
	}
	if err := change(&f); err != nil {
		return err
	}
	b64 := base64.StdEncoding.EncodeToString
	var b bytes.Buffer
	b.WriteString(usersHead + seedPrefix + b64(f.seed) + "\n")
	for _, name := range f.names {
		if k, ok := f.keys[name]; ok {
			fmt.Fprintf(&b, "%s:%s$%d:%s$%s:%s\n", name, scram.Mechanism, k.Iterations, b64(k.Salt), b64(k.StoredKey[:]), b64(k.Server[:]))
		}
	}
	return safefile.WriteFile(path, b.Bytes(), 0o600)
}

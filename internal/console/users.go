package console

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"github.com/stanch-dlp/stanch/internal/audit"
	"github.com/stanch-dlp/stanch/internal/notify"
	"github.com/stanch-dlp/stanch/internal/safefile"
)

// Role is what somebody may do.
type Role string

// The roles.
const (
	Viewer  Role = "viewer"  // sees what is held, masked, and people by their domain
	Officer Role = "officer" // also sees whole addresses, reveals parts and decides
	Admin   Role = "admin"   // an officer who also looks after accounts and configuration
	Auditor Role = "auditor" // sees what a viewer sees, and who did what
)

// Roles lists them.
func Roles() []Role { return []Role{Viewer, Officer, Admin, Auditor} }

// User is one account.
type User struct {
	Name     string `json:"name"`
	Role     Role   `json:"role"`
	Hash     string `json:"hash"`               // argon2id, in PHC's string form
	Disabled bool   `json:"disabled,omitempty"` // may not sign in
	First    bool   `json:"first,omitempty"`    // must set a password of their own before anything else
	Changes  int    `json:"changes,omitempty"`  // how often it was changed: each ends its sessions
	Second   string `json:"second,omitempty"`   // secret of its codes, sealed, in base64; "": it signs in without
	Handle   string `json:"handle,omitempty"`   // how authenticators know it, random, in base64
	Passkeys string `json:"passkeys,omitempty"` // sealed, in base64; "": it has none
	Step     int64  `json:"step,omitempty"`     // of the last code that was used
	Address  string `json:"address,omitempty"`  // of their mail: they release none that they sent, and notices to it go to their deputy too
	Barred   int64  `json:"barred,omitempty"`   // when it last lost the right to decide, in Unix seconds: what it decided before counts no longer
	Subject  string `json:"subject,omitempty"`  // digest of who it is to a provider, which signs them in and gives the role; "": the password does

	Key       string `json:"key,omitempty"`        // public half of its reviewer's key; "": it has none
	KeySealed string `json:"key_sealed,omitempty"` // the secret half, sealed by the password and under the index key, in base64

	inPlaceOf string // whose deputy they are in what they do now; of a request, never kept
}

// same reports whether nothing but the last code, or when a passkey was used, has
// changed: what sets or removes one counts as a change of its own.
func (u User) same(was User) bool {
	u.Step, u.Passkeys = was.Step, was.Passkeys
	return u == was
}

// Actor is who the audit log says did it, and in whose place.
func (u User) Actor() string {
	if u.inPlaceOf != "" {
		return audit.InPlaceOf(userPrefix+u.Name, userPrefix+u.inPlaceOf)
	}
	return userPrefix + u.Name
}

// userPrefix stands before the name of an account where it is an actor.
const userPrefix = "user:"

// Errors that a caller chooses by.
var (
	ErrUserName = errors.New("a name has 1 to 32 of a-z, 0-9, '.', '_' and '-', begins with a letter, and has at most six digits")
	ErrWeak     = errors.New("a password has 12 to 200 characters")
	ErrNoUser   = errors.New("no such account")
	ErrTaken    = errors.New("there is an account of that name")
	ErrRole     = errors.New("a role is viewer, officer, admin or auditor")
	ErrProvided = errors.New("the provider that the account signs in by keeps its password and its role")
	errStep     = errors.New("console: that code was used before")
	ErrAddress  = errors.New("an address is such as name@clinic.example, without a name")
	ErrLast     = errors.New("that is the last admin who can sign in")
)

const (
	minPassword = 12 // characters; NIST SP 800-63B 3.1.1.2 asks for 8 beside another factor, 15 alone
	maxPassword = 200
	maxUsers    = 1000
	maxFile     = 8 << 20 // bytes: as many accounts with as many passkeys as may be
)

// Users keeps the accounts in one file. It is read anew for every question, so
// that a command's change holds at once.
type Users struct {
	path string
	work chan struct{} // as many passwords are hashed at once as it has room
	mu   sync.Mutex    // one change at a time in this process; between processes the lock file is
}

// OpenUsers returns the accounts kept in dir, which need not be there yet.
func OpenUsers(dir string) *Users {
	return &Users{path: filepath.Join(dir, "users.json"), work: make(chan struct{}, 2)}
}

// List returns all accounts, by name.
func (u *Users) List() ([]User, error) {
	f, err := os.Open(u.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, safefile.Classify("console: read accounts", err)
	}
	defer f.Close() // only read from
	var b bytes.Buffer
	if n, err := b.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil || n > maxFile {
		return nil, errors.New("console: the file of accounts cannot be read")
	}
	var all []User
	if err := json.Unmarshal(b.Bytes(), &all); err != nil {
		return nil, errors.New("console: the file of accounts is damaged")
	}
	return all, nil
}

// Find returns one account, or ErrNoUser.
func (u *Users) Find(name string) (User, error) {
	all, err := u.List()
	if err != nil {
		return User{}, err
	}
	if i := slices.IndexFunc(all, func(x User) bool { return x.Name == name }); i >= 0 {
		return all[i], nil
	}
	return User{}, ErrNoUser
}

// Check returns the account of name if password is its own and it may sign in.
// It takes as long, and says the same, whatever is wrong.
func (u *Users) Check(name, password string) (User, error) {
	found, err := u.Find(name)
	if err != nil && !errors.Is(err, ErrNoUser) {
		return User{}, err
	}
	hash := found.Hash
	if err != nil {
		hash = nobodysHash
	}
	u.work <- struct{}{}
	right := len(password) <= 4*maxPassword && verify(hash, password)
	<-u.work
	if err != nil || !right || found.Disabled || found.Subject != "" {
		return User{}, ErrNoUser
	}
	return found, nil
}

// Add makes an account. first: its password must be changed at the first sign-in.
func (u *Users) Add(name string, role Role, password string, first bool) error {
	if !IsName(name) {
		return ErrUserName
	}
	if !slices.Contains(Roles(), role) {
		return ErrRole
	}
	hash, err := u.hash(password)
	if err != nil {
		return err
	}
	return u.add(User{Name: name, Role: role, Hash: hash, First: first})
}

func (u *Users) add(fresh User) error {
	return u.change(func(all []User) ([]User, error) {
		if slices.Contains(otherActors, fresh.Name) || slices.ContainsFunc(all, func(x User) bool { return x.Name == fresh.Name }) {
			return nil, ErrTaken
		}
		if len(all) >= maxUsers {
			return nil, errors.New("there are as many accounts as there may be")
		}
		return append(all, fresh), nil
	})
}

// SetPassword gives name another password. A reviewer's key that only the old one
// opened is lost.
func (u *Users) SetPassword(name, password string) error {
	hash, err := u.hash(password)
	if err != nil {
		return err
	}
	if err := u.editOwn(name, func(x *User) { x.Hash, x.First, x.Key, x.KeySealed = hash, false, "", "" }); err != nil || name != firstName {
		return err
	}
	return safefile.Remove(u.FirstPasswordPath()) // it holds no longer
}

// SetRole gives name another role.
func (u *Users) SetRole(name string, role Role) error {
	if !slices.Contains(Roles(), role) {
		return ErrRole
	}
	return u.editOwn(name, func(x *User) { x.Role = role })
}

// SetDisabled lets name in no more, or again.
func (u *Users) SetDisabled(name string, disabled bool) error {
	return u.edit(name, func(x *User) { x.Disabled = disabled })
}

// SetSecond gives name another second factor, or takes it away: sealed is "".
func (u *Users) SetSecond(name, sealed string, step int64) error {
	return u.edit(name, func(x *User) { x.Second, x.Step = sealed, step })
}

// SetAddress says what name's address is; "" takes it away.
func (u *Users) SetAddress(name, address string) error {
	if address != "" && !notify.ValidAddress(address) {
		return ErrAddress
	}
	return u.edit(name, func(x *User) { x.Address = address })
}

// twoFactors reports whether a password alone does not let u in.
func (u User) twoFactors() bool { return u.Second != "" || u.Passkeys != "" }

// decides reports whether x may sign in and decide.
func (u User) decides() bool { return !u.Disabled && u.may(decide) }

// takeStep uses the code of step up, or is errStep where it was before, or a
// later one. Nobody's session ends by it.
func (u *Users) takeStep(name string, step int64) error {
	return u.change(func(all []User) ([]User, error) {
		i := slices.IndexFunc(all, func(x User) bool { return x.Name == name })
		if i < 0 || all[i].Step >= step {
			return nil, errStep
		}
		all[i].Step = step
		return all, nil
	})
}

// editOwn is edit for accounts that no provider vouches for.
func (u *Users) editOwn(name string, do func(*User)) error {
	if x, err := u.Find(name); err == nil && x.Subject != "" {
		return ErrProvided
	}
	return u.edit(name, do)
}

func (u *Users) edit(name string, do func(*User)) error {
	return u.change(func(all []User) ([]User, error) {
		i := slices.IndexFunc(all, func(x User) bool { return x.Name == name })
		if i < 0 {
			return nil, ErrNoUser
		}
		admins, could := admins(all), all[i].decides()
		do(&all[i])
		if could && !all[i].decides() {
			all[i].Barred = time.Now().Unix()
		}
		all[i].Changes++
		if admins > 0 && !slices.ContainsFunc(all, isAdmin) {
			return nil, ErrLast
		}
		return all, nil
	})
}

// isAdmin reports an admin who can sign in whatever becomes of a provider.
func isAdmin(x User) bool { return x.Role == Admin && !x.Disabled && x.Subject == "" }

func admins(all []User) (n int) {
	for _, x := range all {
		if isAdmin(x) {
			n++
		}
	}
	return n
}

// change rewrites the file, durably, while nobody else does.
func (u *Users) change(do func([]User) ([]User, error)) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := safefile.MkdirAll(filepath.Dir(u.path)); err != nil {
		return err
	}
	lock, err := safefile.Lock(u.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }() // the file is whole either way
	all, err := u.List()
	if err != nil {
		return err
	}
	if all, err = do(all); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b User) int { return strings.Compare(a.Name, b.Name) })
	b, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return fmt.Errorf("console: accounts: %w", err)
	}
	return safefile.WriteFile(u.path, append(b, '\n'), 0o600)
}

// IsName reports a name that may stand in the audit log behind "user:".
func IsName(s string) bool {
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z':
		case i > 0 && c >= '0' && c <= '9':
			digits++
		case i > 0 && strings.IndexByte("._-", c) >= 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= 32 && digits <= 6
}

// Cost of a password's hash: OWASP's second choice for argon2id, 19 MiB and two
// passes; about 40 ms of one core.
const (
	hashTime   = 2
	hashMemory = 19 << 10 // KiB
	hashLanes  = 1
	hashBytes  = 32
)

const hashHead = "$argon2id$v=19$m=19456,t=2,p=1$"

// nobodysHash is what an unknown name's password is compared with: no password
// has it, for the right half is not 32 bytes.
const nobodysHash = hashHead + "AAAAAAAAAAAAAAAAAAAAAA$AAAA"

func (u *Users) hash(password string) (string, error) {
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return "", ErrWeak
	}
	var salt [16]byte
	rand.Read(salt[:]) // never fails: crypto/rand.Read ends the program instead
	u.work <- struct{}{}
	key := argon2.IDKey([]byte(password), salt[:], hashTime, hashMemory, hashLanes, hashBytes)
	<-u.work
	enc := base64.RawStdEncoding.EncodeToString
	return hashHead + enc(salt[:]) + "$" + enc(key), nil
}

func verify(hash, password string) bool {
	rest, ok := strings.CutPrefix(hash, hashHead)
	salted, keyed, both := strings.Cut(rest, "$")
	salt, err1 := base64.RawStdEncoding.DecodeString(salted)
	want, err2 := base64.RawStdEncoding.DecodeString(keyed)
	if !ok || !both || err1 != nil || err2 != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashLanes, hashBytes)
	return subtle.ConstantTimeCompare(got, want) == 1
}

// firstName is the account of the first start.
const firstName = "admin"

// FirstPasswordPath is the file with the password of the first account, until
// another is set.
func (u *Users) FirstPasswordPath() string {
	return filepath.Join(filepath.Dir(u.path), "first-password")
}

// FirstAccount makes the account "admin" where there is none at all, and
// returns its password, or "". With keep the password is also in the file
// FirstPasswordPath, mode 0600, until the account has another.
func (u *Users) FirstAccount(keep bool) (password string, err error) {
	all, err := u.List()
	if err != nil || len(all) > 0 {
		return "", err
	}
	password = strings.ToLower(rand.Text())
	if keep {
		if err := safefile.MkdirAll(filepath.Dir(u.path)); err != nil {
			return "", err
		}
		if err := safefile.WriteFile(u.FirstPasswordPath(), []byte(password+"\n"), 0o600); err != nil {
			return "", err
		}
	}
	return password, u.Add(firstName, Admin, password, true)
}

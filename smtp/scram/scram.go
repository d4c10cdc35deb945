// Package scram proves the knowledge of a password without sending it, by
// SCRAM-SHA-256 without channel binding.
//
// Passwords are taken as the bytes they are: SASLprep would change only some
// outside ASCII.
//
// Sources: RFC 5802 (SCRAM), RFC 7677 (SHA-256).
package scram

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
)

// Mechanism is the name in EHLO and AUTH.
const Mechanism = "SCRAM-SHA-256"

const (
	minIterations = 4096      // RFC 7677 4
	maxIterations = 1_000_000 // about half a second: a server that asks for more is refused
	maxMessage    = 2048      // bytes of a message that is read
)

// Errors of an exchange. None quotes what was read.
var (
	// ErrMessage says that the other side sent something other than SCRAM.
	ErrMessage = errors.New("scram: no proper message")
	// ErrProof says that the other side does not know the password.
	ErrProof = errors.New("scram: wrong proof")
)

// Keys are what stands for a password: enough to check a proof, not enough to
// make one.
type Keys struct {
	Salt              []byte
	Iterations        int
	StoredKey, Server [sha256.Size]byte
}

// Derive makes the Keys of a password. It takes tens of milliseconds at 4096
// times 10 iterations; iterations is at least 4096.
func Derive(password string, salt []byte, iterations int) (Keys, error) {
	_, k, err := derive(password, salt, iterations)
	return k, err
}

// derive also returns the client's key, which is as good as the password.
func derive(password string, salt []byte, iterations int) (client []byte, k Keys, err error) {
	if iterations < minIterations || iterations > maxIterations || len(salt) == 0 {
		return nil, Keys{}, ErrMessage
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return nil, Keys{}, err
	}
	client = sum(salted, "Client Key")
	return client, Keys{salt, iterations, sha256.Sum256(client), [32]byte(sum(salted, "Server Key"))}, nil
}

func sum(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// Client is the side that has the password. First, Final and Verify are called
// once each, in that order.
type Client struct {
	user, password, nonce string
	bare                  string // client-first-message-bare
	server                []byte // the signature that the server has to show
}

// NewClient starts an exchange.
func NewClient(user, password string) *Client {
	return &Client{user: user, password: password, nonce: newNonce()}
}

func newNonce() string {
	var b [18]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read ends the program instead
	return base64.StdEncoding.EncodeToString(b[:])
}

// noBinding is the GS2 header of a client that knows no channel binding.
const noBinding = "n,,"

// First returns the client's first message. RFC 5802 5.1.
func (c *Client) First() []byte {
	name := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(c.user)
	c.bare = "n=" + name + ",r=" + c.nonce
	return []byte(noBinding + c.bare)
}

// Final answers the server's first message.
func (c *Client) Final(serverFirst []byte) ([]byte, error) {
	f, ok := fields(serverFirst, "r", "s", "i")
	if !ok || !strings.HasPrefix(f[0], c.nonce) || len(f[0]) == len(c.nonce) {
		return nil, ErrMessage
	}
	salt, err := base64.StdEncoding.DecodeString(f[1])
	if err != nil {
		return nil, ErrMessage
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return nil, ErrMessage
	}
	key, keys, err := derive(c.password, salt, n)
	if err != nil {
		return nil, err
	}
	bare := "c=" + base64.StdEncoding.EncodeToString([]byte(noBinding)) + ",r=" + f[0]
	auth := c.bare + "," + string(serverFirst) + "," + bare
	proof := sum(keys.StoredKey[:], auth)
	subtle.XORBytes(proof, proof, key)
	c.server = sum(keys.Server[:], auth)
	return []byte(bare + ",p=" + base64.StdEncoding.EncodeToString(proof)), nil
}

// Verify checks the server's final message: ErrProof when it does not know the
// password either.
func (c *Client) Verify(serverFinal []byte) error {
	f, ok := fields(serverFinal, "v")
	if !ok {
		return ErrMessage
	}
	got, err := base64.StdEncoding.DecodeString(f[0])
	if err != nil {
		return ErrMessage
	}
	if c.server == nil || !hmac.Equal(got, c.server) {
		return ErrProof
	}
	return nil
}

// fields takes a message apart: the named attributes in their order, whatever
// extensions follow them. A mandatory extension (m=) comes first and is no
// name we ask for.
func fields(message []byte, names ...string) ([]string, bool) {
	if len(message) > maxMessage {
		return nil, false
	}
	parts := strings.Split(string(message), ",")
	if len(parts) < len(names) {
		return nil, false
	}
	var out []string
	for i, name := range names {
		v, ok := strings.CutPrefix(parts[i], name+"=")
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

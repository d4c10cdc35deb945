// Package tpm seals a short secret so that one TPM 2.0 opens it and nothing else.
//
// The secret is a sealed object under the storage root key of the TPM's owner. It
// and the authorisation value cross the bus encrypted, in a session salted to that key.
//
// Source: TCG Trusted Platform Module Library, Part 1, sections 21 and 36; Part 3,
// TPM2_Create and TPM2_Unseal.
package tpm

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/google/go-tpm/tpm2/transport/linuxtpm"
)

// Device is where Linux has the TPM, with the kernel's resource manager.
const Device = "/dev/tpmrm0"

// MaxSecret bounds a secret, in bytes: MAX_SYM_DATA of the library's profile.
const MaxSecret = 128

// Errors that a caller chooses by.
var (
	ErrNone   = errors.New("there is no TPM here")
	ErrDenied = errors.New("this user may not use the TPM")
	ErrOther  = errors.New("the key was made by another TPM, or this one was cleared since")
	ErrPIN    = errors.New("the PIN is wrong; after some wrong ones the TPM locks for a time")
	ErrLocked = errors.New("the TPM is locked after too many wrong PINs: wait, or have its owner reset the lockout (tpm2_dictionarylockout)")
	ErrOwner  = errors.New("the TPM's owner hierarchy has a password: keys are made and opened without one only")
	ErrForm   = errors.New("this is no key of a TPM, or it is damaged")
)

// TPM is an open TPM. It is used by one caller at a time.
type TPM struct{ t transport.TPMCloser }

// Open opens the TPM at path: a device, or the socket of a simulator. ErrNone,
// ErrDenied.
func Open(path string) (*TPM, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNone)
	}
	if err != nil {
		return nil, fmt.Errorf("tpm: %w", err)
	}
	var t transport.TPMCloser
	if info.Mode().Type() == fs.ModeSocket {
		var c net.Conn
		if c, err = net.Dial("unix", path); err == nil {
			t = transport.FromReadWriteCloser(c)
		}
	} else {
		t, err = linuxtpm.Open(path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s: %w", path, ErrDenied)
	}
	if err != nil {
		return nil, fmt.Errorf("tpm: open %s: %w", path, err)
	}
	return &TPM{t}, nil
}

// Close lets go of the TPM.
func (t *TPM) Close() error { return t.t.Close() }

// Maker asks the TPM who made it: four letters of the TCG's registry.
func (t *TPM) Maker() (string, error) {
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTManufacturer), PropertyCount: 1}.Execute(t.t)
	if err != nil {
		return "", plain("ask", err)
	}
	props, err := got.CapabilityData.Data.TPMProperties()
	if err != nil || len(props.TPMProperty) != 1 {
		return "", errors.New("tpm: it does not say who made it")
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], props.TPMProperty[0].Value)
	return strings.TrimSpace(string(bytes.Trim(b[:], "\x00"))), nil
}

// Seal seals secret to this TPM. With a pin it is asked for, and wrong ones count
// towards the TPM's lockout.
func (t *TPM) Seal(secret, pin []byte) ([]byte, error) {
	if len(secret) == 0 || len(secret) > MaxSecret {
		return nil, fmt.Errorf("tpm: a secret has 1 to %d bytes", MaxSecret)
	}
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	defer t.flush(root.handle)
	made, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: root.handle, Name: root.name, Auth: root.session(nil, tpm2.AESEncryption(128, tpm2.EncryptIn))},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			UserAuth: tpm2.TPM2BAuth{Buffer: authOf(pin)}, Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: secret})}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: len(pin) == 0}}),
	}.Execute(t.t)
	if err != nil {
		return nil, plain("seal", err)
	}
	private, public := tpm2.Marshal(made.OutPrivate), tpm2.Marshal(made.OutPublic)
	out := binary.BigEndian.AppendUint16(nil, uint16(len(private)))
	return append(append(out, private...), public...), nil
}

// Unseal is Seal's inverse. ErrOther, ErrPIN, ErrLocked, ErrForm.
func (t *TPM) Unseal(blob, pin []byte) ([]byte, error) {
	if len(blob) < 2 || len(blob) > 4<<10 {
		return nil, ErrForm
	}
	n := int(binary.BigEndian.Uint16(blob)) + 2
	if n > len(blob) {
		return nil, ErrForm
	}
	private, err1 := tpm2.Unmarshal[tpm2.TPM2BPrivate](blob[2:n])
	public, err2 := tpm2.Unmarshal[tpm2.TPM2BPublic](blob[n:])
	if err1 != nil || err2 != nil {
		return nil, ErrForm
	}
	root, err := t.root()
	if err != nil {
		return nil, err
	}
	defer t.flush(root.handle)
	object, err := tpm2.Load{ParentHandle: tpm2.AuthHandle{Handle: root.handle, Name: root.name, Auth: tpm2.PasswordAuth(nil)}, InPrivate: *private, InPublic: *public}.Execute(t.t)
	if err != nil {
		return nil, plain("load", err)
	}
	defer t.flush(object.ObjectHandle)
	got, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: object.ObjectHandle, Name: object.Name, Auth: root.session(authOf(pin), tpm2.AESEncryption(128, tpm2.EncryptOut))}}.Execute(t.t)
	if err != nil {
		return nil, plain("unseal", err)
	}
	return got.OutData.Buffer, nil
}

// root is the storage root key, which the TPM derives from its seed each time.
type root struct {
	handle tpm2.TPMHandle
	name   tpm2.TPM2BName
	public tpm2.TPMTPublic
}

func (t *TPM) root() (root, error) {
	made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(t.t)
	switch {
	case errors.Is(err, tpm2.TPMRCAuthFail), errors.Is(err, tpm2.TPMRCBadAuth):
		return root{}, ErrOwner
	case err != nil:
		return root{}, plain("storage root key", err)
	}
	public, err := made.OutPublic.Contents()
	if err != nil {
		t.flush(made.ObjectHandle)
		return root{}, fmt.Errorf("tpm: storage root key: %w", err)
	}
	return root{made.ObjectHandle, made.Name, *public}, nil
}

// session authorises by auth. secure says which way the first parameter is
// encrypted.
func (r root) session(auth []byte, secure tpm2.AuthOption) tpm2.Session {
	return tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth(auth), secure, tpm2.Salted(r.handle, r.public))
}

// flush gives the place of an object back. Without a resource manager there are
// three; one that stays goes with the next reset.
func (t *TPM) flush(h tpm2.TPMHandle) {
	_, _ = tpm2.FlushContext{FlushHandle: h}.Execute(t.t) // it is not needed any more, and the key is out
}

// authOf is the authorisation value of a PIN, of any length. The TPM leaves zeros
// at its end out.
func authOf(pin []byte) []byte {
	if len(pin) == 0 {
		return nil
	}
	h := sha256.Sum256(append([]byte("stanch TPM PIN v1 "), pin...))
	return bytes.TrimRight(h[:], "\x00")
}

// plain turns what a TPM answers into what there is to do.
func plain(step string, err error) error {
	for _, known := range []struct {
		code tpm2.TPMRC
		is   error
	}{{tpm2.TPMRCIntegrity, ErrOther}, {tpm2.TPMRCAuthFail, ErrPIN}, {tpm2.TPMRCBadAuth, ErrPIN}, {tpm2.TPMRCLockout, ErrLocked}} {
		if errors.Is(err, known.code) {
			return known.is
		}
	}
	return fmt.Errorf("tpm: %s: %w", step, err)
}

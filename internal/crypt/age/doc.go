// Package age seals contents and files in the age format, and keeps the keys of the
// vault's periods; those whose readers have certificates are strict's.
//
// It promises that a sealed content opens only as what it was sealed for, that
// nothing of an altered chunk comes out, and that what EncryptFile writes is
// opened by any other age program that holds the recipient's key.
//
// Source: https://age-encryption.org/v1.
package age

// Package age seals contents and files in the age format.
//
// It promises that a sealed content opens only as what it was sealed for, that
// nothing of an altered chunk comes out, and that what EncryptFile writes is
// opened by any other age program that holds the recipient's key.
//
// Source: https://age-encryption.org/v1.
package age

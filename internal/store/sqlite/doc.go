// Package sqlite keeps all that must survive in one SQLite database and in
// sealed files beside it.
//
// It promises that a Change is on stable storage, wholly, when Commit returns
// nil; that after a failed write or sync the Change counts as not written; that
// it works on without a restart once there is room again; and that nothing
// which tells of a patient or a correspondent stands in the database in clear.
// docs/vault.md describes the bytes.
package sqlite

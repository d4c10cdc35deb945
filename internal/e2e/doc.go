// Package e2e tests the built program from outside, beside real programs:
// Postfix, LibreOffice, age, and kill -9.
//
// It has no code of its own, only tests. They need what .ci/deps installs; the
// load generator and sink that lie beside the checkout are skipped where absent.
package e2e

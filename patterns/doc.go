// Package patterns reads the rule language: TOML files to one checked,
// immutable Set of rules.
//
// It promises that a Set holds no rule it does not wholly understand: an
// unknown key, list or validator, an expression that could run long and a test
// that fails are errors with file, line and key, and all of them are reported
// at once. It matches nothing itself; what a rule finds is the scanner's, which
// Load is handed as a Tester.
package patterns

//go:build !crashtest

package main

// onStep is called before each durable step; see step_crash.go.
func onStep(string) {}

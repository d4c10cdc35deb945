//go:build race

package sandbox

// raceBuild says that nothing can be locked; "" in any other build.
const raceBuild = "built with the race detector, for tests only: nothing is locked"

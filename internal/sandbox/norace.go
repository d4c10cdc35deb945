//go:build !race

package sandbox

// raceBuild says that nothing can be locked; "" in any other build.
const raceBuild = ""

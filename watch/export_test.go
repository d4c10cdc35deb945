package watch

// Variant gives the fuzz target the names that files get.
func Variant(name string, released bool, i int) string {
	if released {
		return variant(name, labelReleased, i)
	}
	return variant(name, labelNumber, i)
}

// Split gives the fuzz target the check of stored paths.
func Split(rel string) ([]string, error) { return split(rel) }

// Own gives a test's file to somebody.
var Own = own

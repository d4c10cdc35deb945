package dlp

// KeyError is a bad value in the configuration. config adds file and line.
type KeyError struct {
	Key  string // as written in TOML, with the index of an array of tables: "smtp.listen", "watch[1].path"
	Want string // what was expected
}

// Error returns "KEY: what was expected".
func (e *KeyError) Error() string { return e.Key + ": " + e.Want }

package index

import "path/filepath"

// Config is the [index] table of stanch.toml.
type Config struct {
	// Dir is the folder of the patient index, which `stanch index build` makes; left out, it is `patients` in `data_dir`. Without an index the built-in rules for patients find nothing.
	Dir string `toml:"dir"`
	// Key is the file of its key, which the first build makes; left out, it is `keys/patients.key` in `data_dir`. It does not lie in `dir`: who has both can try numbers.
	Key string `toml:"key"`
}

// Places returns the folder of the index and the file of its key.
func (c Config) Places(dataDir string) (dir, key string) {
	dir, key = c.Dir, c.Key
	if dir == "" {
		dir = filepath.Join(dataDir, "patients")
	}
	if key == "" {
		key = filepath.Join(dataDir, "keys", "patients.key")
	}
	return dir, key
}

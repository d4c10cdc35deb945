package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/stanch-dlp/stanch/internal/config"
	"github.com/stanch-dlp/stanch/internal/index"
	"github.com/stanch-dlp/stanch/patterns"
)

// openPatients opens the patient index that rules look into; nil where the site
// has none. It has one once there is a key: an index that is missing then is an
// error, since what it found would pass.
//
// What it opens is closed by the collector: a scan may be under way in it when a
// reload puts another in its place.
func openPatients(cfg *config.Config) (patterns.Patients, error) {
	if cfg.File == "" {
		return nil, nil // the defaults alone: nobody's data folder
	}
	dir, keyFile := cfg.Index.Places(cfg.DataDir)
	key, err := index.LoadKey(keyFile)
	if errors.Is(err, index.ErrNoKey) {
		if _, statErr := os.Stat(filepath.Join(dir, index.MainFile)); errors.Is(statErr, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: %s: bring it back, or build the index anew", err, keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	ix, err := index.Open(dir, key)
	if errors.Is(err, index.ErrNone) {
		return nil, fmt.Errorf("%w in %s, and there is a key of one: build it with `stanch index build`, or take %s away", err, dir, keyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("patient index in %s: %w", dir, err)
	}
	return ix, nil
}

// withPatients adds the patient index to src. Where only the user who serves may
// read it, a command of another user goes on without and says so.
func (a *app) withPatients(cfg *config.Config, src patterns.Source) (patterns.Source, error) {
	ix, err := openPatients(cfg)
	if errors.Is(err, fs.ErrPermission) {
		fmt.Fprintln(a.errs, "warning: whether there is a patient index cannot be read by this user, nor rules that the console has: patients are not looked for")
		return src, nil
	}
	src.Patients = ix
	return src, err
}

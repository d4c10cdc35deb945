package config

import (
	"bytes"
	_ "embed"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// starter is what `stanch config init` writes.
//
//go:embed starter.toml
var starter []byte

// Starter returns a commented configuration to begin with. It loads as it is.
func Starter() []byte { return slices.Clone(starter) }

// Effective returns c as TOML with every key, defaults included. Loaded again
// it gives the same configuration. No key of stanch.toml holds a secret:
// secrets stand in files that keys name, so that there is nothing to mask.
func (c *Config) Effective() ([]byte, error) {
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(c); err != nil {
		return nil, fmt.Errorf("config: write the effective configuration: %w", err)
	}
	return b.Bytes(), nil
}

// Reloaded are the keys, and the tables with all their keys, that a reload
// puts in force. Everything else is bound when the process starts.
func Reloaded() []string {
	return []string{"rules", "site", "index", "departments", "policies", "defaults", "smtp.internal_domains",
		"smtp.next_hop", "smtp.next_hop_tls", "smtp.next_hop_name", "smtp.next_hop_ca", "smtp.next_hop_pins", "smtp.next_hop_cert",
		"smtp.next_hop_key", "smtp.next_hop_auth", "smtp.routes", "encrypt", "smtp.resolver", "smtp.resolver_trusted", "extract.passwords_file"}
}

// RestartNeeded returns the keys in which two configurations differ and which
// a reload cannot put in force: data_dir, every listen, limits, watched folders
// and so on, in the order of docs/config.md; nil for none.
func RestartNeeded(running, next *Config) []string {
	var keys []string
	differing("", reflect.ValueOf(running).Elem(), reflect.ValueOf(next).Elem(), &keys)
	return keys
}

// differing adds the keys below prefix in which the structs a and b differ.
func differing(prefix string, a, b reflect.Value, keys *[]string) {
	others := map[string]reflect.Value{}
	for f := range fields(b) {
		others[f.key] = f.value
	}
	for f := range fields(a) {
		key := strings.TrimPrefix(prefix+"."+f.key, ".")
		other := others[f.key]
		switch {
		case slices.Contains(Reloaded(), key):
		case f.value.Kind() == reflect.Struct:
			differing(key, f.value, other, keys)
		case !same(f.value, other):
			*keys = append(*keys, key)
		}
	}
}

// same takes an empty list and no list for the same.
func same(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

package arch

import (
	"slices"
	"strings"
)

// licences are the texts we accept, each known by a sentence of its own. The
// first whose sentence stands in the file is the file's licence.
func licences() []struct{ name, sentence string } {
	return []struct{ name, sentence string }{
		{"Apache-2.0", "Apache License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License, version 2.0"},
		{"MIT", "Permission is hereby granted, free of charge"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose"},
		{"BSD", "Redistribution and use in source and binary forms"},
		{"SQLite", "dedicated to the public domain by the authors"},
	}
}

// IsLicence reports whether a file of that name at the top of a module is a
// licence.
func IsLicence(name string) bool {
	name = strings.ToUpper(name)
	if name == "LICENSE-LOGO" { // of a picture in the repository of modernc.org/memory, which no program links
		return false
	}
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING"}, func(p string) bool { return strings.HasPrefix(name, p) })
}

// Licence returns the name of the licence with this text, "" for none that we
// accept. BSD stands for those of two and of three clauses.
func Licence(text []byte) string {
	plain := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "#", "")), " ")
	for _, l := range licences() {
		if strings.Contains(plain, l.sentence) {
			return l.name
		}
	}
	return ""
}

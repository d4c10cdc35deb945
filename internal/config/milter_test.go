package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stanch-dlp/stanch/internal/config"
)

// TestMilterAlone holds that the milter door may be the only one, and that it
// needs a way out all the same.
func TestMilterAlone(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"alone", "[milter]\nlisten = [\"inet:127.0.0.1:8892\", \"unix:/run/stanch/milter.sock\"]\n[smtp]\nhostname = \"gw.example\"\nnext_hop = \"10.0.0.1:25\"\n", ""},
		{"no way out", "[milter]\nlisten = [\"inet:127.0.0.1:8892\"]\n[smtp]\nhostname = \"gw.example\"\n", "smtp.next_hop"},
		{"no name", "[milter]\nlisten = [\"inet:127.0.0.1:8892\"]\n[smtp]\nnext_hop = \"10.0.0.1:25\"\n", "smtp.hostname"},
		{"as Postfix writes it not", "[milter]\nlisten = [\"127.0.0.1:8892\"]\n[smtp]\nhostname = \"gw.example\"\nnext_hop = \"10.0.0.1:25\"\n", "milter.listen[0]"},
		{"a path of its own folder", "[milter]\nlisten = [\"unix:milter.sock\"]\n[smtp]\nhostname = \"gw.example\"\nnext_hop = \"10.0.0.1:25\"\n", "milter.listen[0]"},
		{"answers before it has read", "[milter]\nlisten = [\"inet:127.0.0.1:8892\"]\nanswer_timeout = \"30s\"\n[smtp]\nhostname = \"gw.example\"\nnext_hop = \"10.0.0.1:25\"\n", "milter.answer_timeout"},
		{"an unknown word", "[milter]\nheld = \"accept\"\n", "milter.held"},
		{"a mode that is none", "[milter]\nsocket_mode = \"rw\"\n", "milter.socket_mode"},
		{"a network that is none", "[milter]\nnetworks = [\"everywhere\"]\n", "milter.networks[0]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "stanch.toml")
			if err := os.WriteFile(path, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := config.Load(path)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want+":")) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

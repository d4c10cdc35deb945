// Write prints the labelled texts of package cases, for `stanch rules eval`.
package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/stanch-dlp/stanch/internal/gold/cases"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	err := cases.Write(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

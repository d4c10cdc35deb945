// Package web is the ground that every page stands on: embedded style sheet,
// icons and scripts under content-hashed URLs, templates with a layout, the
// headers and bounds of every answer, a limiter of attempts and the server's
// start and stop. It knows nothing of what the pages show.
package web

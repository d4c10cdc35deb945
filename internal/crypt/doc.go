// Package crypt keeps the gateway's own three keys.
//
// It promises that keys are made once, at the first start, and that keys which
// are missing or are not those the data was sealed with are an error and never
// replaced.
package crypt

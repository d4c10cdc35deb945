package siem

// Sign is sign.
var Sign = sign

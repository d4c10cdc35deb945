// Package vault holds documents until someone decides about them.
//
// It promises that what Seal has staged is sealed before it touches the disk,
// that an opened content is byte for byte what was held or an error, and that
// a move between states happens once or not at all. What becomes durable, and
// together with what, is the matter of the store that takes an Item.
package vault

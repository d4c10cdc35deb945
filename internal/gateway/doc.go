// Package gateway is the conductor: the only place that knows the whole road.
//
// It leads each Document down it in this order and no other: extract, detect,
// decide, record the decision, act, record the outcome. What it promises:
//
//   - No record, no act: a decision is on stable storage before anything leaves,
//     is held or is refused.
//   - It never owns a clean message: that one goes on inside the client's own
//     transaction, and the client's reply is the next hop's.
//   - What it does own (held, split, released) is one durable transaction, on
//     stable storage before the client is told so.
//   - Whatever goes wrong leads to hold or to try again later, never to allow.
package gateway

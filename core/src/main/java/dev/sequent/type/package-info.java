/**
 * What everything else is described with: element types ({@link dev.sequent.type.DType}), shapes ({@link dev.sequent.type.Shape}) and the
 * errors that the library raises on purpose ({@link dev.sequent.type.SequentException} and its subclasses).
 *
 * <p>Invariants: all values are immutable; every message of an error reads {@code [operation] expected ..., given ...}. This package
 * depends on no other. Anything with memory or behaviour of its own belongs elsewhere.
 *
 * <pre>{@code
 * Shape s = Shape.of(4, 1, 8);
 * Shape.broadcast("add", s, Shape.of(16, 1));   // (4, 16, 8)
 * s.dim(-1);                                    // 8
 * }</pre>
 */
package dev.sequent.type;

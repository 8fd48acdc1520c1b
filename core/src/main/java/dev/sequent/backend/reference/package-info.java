/**
 * The reference backend: every operation as the textbook writes it, in plain loops over Java arrays.
 *
 * <p>It is the oracle that other backends are tested against, the place where gradients are checked, and the shortest complete
 * answer to the question what a backend has to do. Start at {@link dev.sequent.backend.reference.ReferenceBackend} and read it
 * from top to bottom; {@code HeapArray} holds elements and rounds them, {@code Positions} finds them.
 *
 * <p>Invariants: every handle owns its array and no two handles share one; floats are computed and accumulated in double and rounded
 * once, when they are stored; integers are exact.
 *
 * <pre>{@code
 * try (Backend backend = new ReferenceBackendProvider().open(Map.of())) {
 *     TensorHandle x = backend.full(Shape.of(2, 3), DType.F32, 1.5, 0);
 *     TensorHandle y = backend.binary(BinaryOp.ADD, x, x);      // (2, 3), all 3.0
 *     TensorHandle s = backend.reduce(ReduceOp.SUM, y, new int[] {1});   // (2, 1), all 9.0
 *     ByteBuffer bytes = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
 *     backend.download(s, bytes);
 * }
 * }</pre>
 *
 * <p>What does not belong here: anything that makes it faster and harder to read.
 */
package dev.sequent.backend.reference;

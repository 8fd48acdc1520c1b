/**
 * Tensors, where they live and how long: {@link dev.sequent.tensor.Tensor}, {@link dev.sequent.tensor.Device},
 * {@link dev.sequent.tensor.Scope} and the reproducible random numbers of {@link dev.sequent.tensor.Rng}.
 *
 * <p>Dimension letters, used in this meaning everywhere in the library: <b>B</b> batch, <b>T</b> time, <b>D</b> model width, <b>E</b> inner
 * width,
 * <b>H</b> heads, <b>P</b> head width, <b>N</b> state size, <b>G</b> groups, <b>K</b> kernel width, <b>V</b> vocabulary.
 *
 * <p>Invariants: shapes, dtypes and devices are checked here, once, before a backend is called; a tensor is a value (only
 * {@link dev.sequent.tensor.Tensor#write} changes one); a result belongs to the innermost scope of its thread. Functions that serve one
 * purpose belong beside that purpose, not in {@code Tensor}.
 *
 * <pre>{@code
 * try (Device cpu = Device.open("cpu"); Scope scope = Scope.open()) {
 *     Tensor x = Tensor.of(cpu, new float[] {1, 2, 3, 4}, 2, 2);
 *     Tensor y = x.matmul(x).add(1).softmax(-1);
 *     System.out.println(Arrays.toString(y.toFloats()));
 * }   // x, y and everything between are released here
 * }</pre>
 */
package dev.sequent.tensor;

/**
 * Laws that every backend and every sequence mixer must satisfy, as reusable JUnit tests.
 *
 * <p>Whoever writes a backend starts at {@link dev.sequent.testkit.BackendContract}: extend it in a test, and every method of the
 * SPI is tested.
 *
 * <pre>{@code
 * class MyBackendContractTest extends BackendContract {
 *     @Override
 *     protected BackendProvider provider() {
 *         return new MyBackendProvider();
 *     }
 * }
 * }</pre>
 *
 * <p>Whoever writes a family of models compares it with numbers computed elsewhere: {@link dev.sequent.testkit.Golden} holds them for one
 * tiny model per public family, {@link dev.sequent.testkit.GoldenCheck} measures the relative errors.
 *
 * <p>Whoever writes vector kernels lets {@link dev.sequent.testkit.FirstCompiler} check that none is too large for the JVM.
 *
 * <p>Invariants: expected values come from formulas over plain Java arrays ({@link dev.sequent.testkit.HostTensor}) and never from a
 * backend; every bound is stated in {@link dev.sequent.testkit.Tolerance} and in units of the dtype's rounding error; every test
 * checks that the backend has as many live handles afterwards as before.
 *
 * <p>What does not belong here: measurements of speed, and tests of one backend's own classes.
 */
package dev.sequent.testkit;

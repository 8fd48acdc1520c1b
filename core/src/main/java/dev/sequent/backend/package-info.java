/**
 * Finding and opening backends. Start at {@link dev.sequent.backend.Backends}.
 *
 * <p>Invariants: nothing is opened, and no thread or native library is started, before somebody asks for it; there is no default
 * backend behind the caller's back; a provider that cannot be loaded is reported and never stops the others.
 *
 * <pre>{@code
 * System.out.println(Backends.explain());
 * try (Backend backend = Backends.openBestBackend()) {
 *     TensorHandle zeros = backend.full(Shape.of(2, 3), DType.F32, 0, 0);
 * }
 * }</pre>
 *
 * <p>What does not belong here: the backends themselves; each has a package of its own below this one, or a module of its own.
 */
package dev.sequent.backend;

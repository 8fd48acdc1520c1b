/**
 * Numbered lessons: one idea a file, to be read in order, each a program that runs in seconds and prints what it claims.
 *
 * <p>Start at {@link dev.sequent.examples.lessons.Lesson01Tensors}; {@link dev.sequent.examples.lessons.Lessons} lists them and runs one by
 * its number.
 *
 * <p>Invariants: a lesson needs nothing from another lesson, no file and no network; it prints the same numbers every time; the tests of
 * this module run every lesson and check what it prints.
 *
 * <pre>{@code
 * mvn -q -Plessons process-classes -Dlesson=06
 * }</pre>
 *
 * <p>Not here: programs with options ({@code dev.sequent.examples.Train}), and anything that takes longer than a few seconds.
 */
package dev.sequent.examples.lessons;

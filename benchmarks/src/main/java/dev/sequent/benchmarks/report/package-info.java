/**
 * What is made of results: {@link dev.sequent.benchmarks.report.Report} turns the files of a run into one HTML page, plots and a table.
 *
 * <p>Everything in it comes from JMH's result file and the run record; nothing is measured here.
 */
package dev.sequent.benchmarks.report;

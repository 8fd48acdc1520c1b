/** Laws that every backend and every sequence mixer must satisfy, as reusable JUnit tests. */
package dev.sequent.testkit;

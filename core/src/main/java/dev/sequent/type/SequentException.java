package dev.sequent.type;

/**
 * Root of all errors that this library raises on purpose. Every message reads
 * {@code [operation] expected ..., given ...} where an expectation can be stated.
 */
public class SequentException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** An error with a complete message. */
    public SequentException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public SequentException(String message, Throwable cause) {
        super(message, cause);
    }

    /** The one message form of the library. */
    protected static String message(String op, String expected, String given) {
        return "[" + op + "] expected " + expected + ", given " + given;
    }
}

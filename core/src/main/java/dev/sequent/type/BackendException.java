package dev.sequent.type;

/** A backend is unknown, unavailable or failed. */
public class BackendException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public BackendException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public BackendException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public BackendException(String message, Throwable cause) {
        super(message, cause);
    }
}

package dev.sequent.type;

/** A derivative was asked for that does not exist or is not recorded. */
public class AutogradException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public AutogradException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public AutogradException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public AutogradException(String message, Throwable cause) {
        super(message, cause);
    }
}

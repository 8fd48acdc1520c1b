package dev.sequent.type;

/** A shape, axis, index or length does not fit the operation. */
public class ShapeException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public ShapeException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public ShapeException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public ShapeException(String message, Throwable cause) {
        super(message, cause);
    }
}

package dev.sequent.type;

/** A tensor or state was used after its memory had been released. */
public class ReleasedTensorException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public ReleasedTensorException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public ReleasedTensorException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public ReleasedTensorException(String message, Throwable cause) {
        super(message, cause);
    }
}

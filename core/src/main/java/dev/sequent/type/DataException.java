package dev.sequent.type;

/** Training or prompt data is empty, too short or outside the vocabulary. */
public class DataException extends SequentException {
    private static final long serialVersionUID = 1L;

    /** An error of operation {@code op}: what it expected and what it was given. */
    public DataException(String op, String expected, String given) {
        super(message(op, expected, given));
    }

    /** An error with a complete message. */
    public DataException(String message) {
        super(message);
    }

    /** An error with a complete message and its cause. */
    public DataException(String message, Throwable cause) {
        super(message, cause);
    }
}

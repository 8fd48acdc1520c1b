package dev.sequent.service;

import java.util.Iterator;
import java.util.Map;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.Consumer;

/** Loads the providers of a service so that a broken one never takes the others down with it. Stateless. */
public final class Services {
    /** More failures than a class path can sensibly have: a loader that fails without moving on would otherwise never end. */
    private static final int MAX_FAILURES = 100;

    private Services() {}

    /**
     * Loads the providers of {@code service} one after another.
     *
     * @param use what to do with each, where a provider may also fail
     * @param failure takes one sentence for each provider that cannot be loaded or fails in {@code use}, for example because its jar was
     *     built for another version
     */
    public static <S> void load(Class<S> service, ClassLoader loader, Consumer<S> use, Consumer<String> failure) {
        Iterator<ServiceLoader.Provider<S>> found = ServiceLoader.load(service, loader).stream().iterator();
        int failures = 0;
        while (failures < MAX_FAILURES) {
            try {
                if (!found.hasNext()) {
                    return;
                }
                use.accept(found.next().get());
            } catch (ServiceConfigurationError | LinkageError | RuntimeException error) {
                failures++;
                failure.accept(sentence(error));
            }
        }
    }

    /**
     * Puts a provider under its name, unless the name is taken. For {@code use} of {@link #load}, where the error becomes a failure.
     *
     * @throws IllegalStateException when there is a provider of that name, which stays
     */
    public static <S> void register(Map<String, S> known, String name, S provider) {
        S first = known.putIfAbsent(name, provider);
        if (first != null) {
            throw new IllegalStateException("the name '" + name + "' of " + provider.getClass().getName() + " is that of "
                    + first.getClass().getName() + ", which is used");
        }
    }

    /** An error and its causes in one line. */
    public static String sentence(Throwable error) {
        StringBuilder line = new StringBuilder(error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            line.append(", because of ").append(cause);
        }
        return line.toString().replaceAll("\\s+", " ");
    }
}

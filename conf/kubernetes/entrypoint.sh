#!/bin/bash
# What a container of the image runs. Spark's Kubernetes backend starts `driver ARGUMENTS` and `executor`, and says in the
# environment what the rest is (Spark's documentation, "Running on Kubernetes"); anything else is run as it stands, such as
# `customs-lake run ...`.
set -euo pipefail

case "${1:-}" in
driver)
    shift
    # the pod is the driver already: submitted in client mode, else it would ask for another pod
    exec "$SPARK_HOME/bin/spark-submit" --deploy-mode client \
        --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@"
    ;;
executor)
    options=()
    # SPARK_JAVA_OPT_0, SPARK_JAVA_OPT_1, ...: one option each, which may hold blanks
    for ((i = 0; ; i++)); do
        name="SPARK_JAVA_OPT_$i"
        [ -n "${!name+given}" ] || break
        options+=("${!name}")
    done
    classes="${SPARK_CONF_DIR:-$SPARK_HOME/conf}:$SPARK_HOME/jars/*${SPARK_CLASSPATH:+:$SPARK_CLASSPATH}"
    exec "$JAVA_HOME/bin/java" "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "$classes" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
"") exec customs-lake --help ;;
*) exec "$@" ;;
esac

#!/bin/sh
# Makes the secrets that compose.yaml names, in the folder that is its only argument. What is there already stays as it is.
set -eu

folder=${1:?"usage: secrets.sh FOLDER"}
umask 077
mkdir -p "$folder"
# The folder is closed to others; its files are readable, because the containers' users are not yours.
chmod 700 "$folder"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

# Writes the text $2 to the file $1, once.
write() {
    [ -e "$folder/$1" ] && return
    printf '%s\n' "$2" >"$folder/$1"
    chmod 644 "$folder/$1"
}

write postgres_password "$(random)"
write database_url "postgres://volley:$(cat "$folder/postgres_password")@postgres:5432/volley"
write broker_password "$(random)"
write broker_url "amqp://volley:$(cat "$folder/broker_password")@rabbitmq:5672/volley"
write rabbitmq.env "RABBITMQ_DEFAULT_USER=volley
RABBITMQ_DEFAULT_PASS=$(cat "$folder/broker_password")
RABBITMQ_DEFAULT_VHOST=volley"
write root_key "vk_$(random)"
